using System.Text.RegularExpressions;

namespace Vicuna.Managed.Tests.House;

/// <summary>
/// Who may use whom. A folder is a namespace is a layer; references are found by <c>using</c> lines and by qualified names. The types of the
/// root namespace are visible everywhere without either: one of them may be named in a layer only if it uses, itself and through other
/// root types, nothing that the layer may not use.
/// </summary>
public sealed partial class LayeringTests
{
    private const string Prefix = "Vicuna.Managed";
    private const string Root = "";

    // A library over the root: what the root's types use is no trespass of its own.
    private const string Shortening = "Compression";

    private static readonly Layer[] Layers =
    [
        new("Kernels.Memory", "owns memory and knows nothing of what is in it"),
        new("Kernels.Isa", "names instruction sets"),
        new("Kernels.Threading", "runs jobs; its work space is native memory", new Use("Kernels.Memory")),
        new("Kernels.Formats", "reads stored weights, at every tier", new Use("Kernels.Isa"),
            new Use("Kernels.Memory", Why: "the registry hands stored bytes to matrices, kernels give hints to the caches"),
            new Use("Kernels.Matmul", Only: "WeightMatrix, HalfMatrix", File: "WeightFormat",
                Why: "the registry is where the generic matrices are closed over format and tier")),
        new("Kernels.Matmul", "multiplies stored matrices on many threads",
            new Use("Kernels.Formats"), new Use("Kernels.Isa"), new Use("Kernels.Memory"), new Use("Kernels.Threading")),
        new("Kernels.Gemm", "multiplies computed matrices, as training needs it", new Use("Kernels.Formats", Only: "Lanes", Why: "loads and stores"),
            new Use("Kernels.Isa"), new Use("Kernels.Matmul"), new Use("Kernels.Memory"), new Use("Kernels.Threading")),
        new("Kernels.Ops", "all other arithmetic, over the cache's pages too", new Use("Kernels.Gemm"), new Use("Kernels.Isa"), new Use("Kernels.Memory"), new Use("Kernels.Threading")),
        new("Kernels.Limits", "measures what the machine can do at most, without a model",
            new Use("Kernels.Isa"), new Use("Kernels.Memory"), new Use("Kernels.Threading")),
        new("Weights", "parses files into named ranges of bytes; what is computed with them is not its business", new Use("Kernels.Memory")),
        new("Tokenization", "text to ids and back, without a model"),
        new("Sampling", "logits to an id, without a model"),
        new("Constraints", "forms of texts as automata over bytes, and the tokens that they allow; without a model",
            new Use("Tokenization", Why: "a token is allowed by its bytes")),
        new("Chat", "conversations to ids, which takes a tokenizer", new Use("Tokenization")),
        new("Models", "the forward pass: kernels over weights; knows neither text nor sampling",
            new Use("Kernels.Formats"), new Use("Kernels.Isa"), new Use("Kernels.Matmul"), new Use("Kernels.Memory"), new Use("Kernels.Ops"),
            new Use("Kernels.Threading"), new Use("Weights")),
        new("Checkpoints", "brings the parts of a checkpoint together: configuration, weights, tokenizer, template",
            new Use("Kernels.Memory"), new Use("Kernels.Ops", Only: "RopeStyle", Why: "the container decides how rows are ordered"),
            new Use("Generation", Only: "OptionsResolver", Why: "a file's defaults are checked as a caller's options are"),
            new Use("Sampling", Only: "CounterRandom", Why: "synthetic weights are random numbers by position too"),
            new Use("Constraints", Only: "Grammar", Why: "a file's defaults are of the type of a caller's options"),
            new Use("Weights"), new Use("Models"), new Use("Tokenization"), new Use("Chat")),
        new("Generation", "drives a sequence: options, stopping, saving",
            new Use("Kernels.Ops", Why: "saving walks through the cache's pages"), new Use("Models"), new Use("Sampling"), new Use("Constraints"), new Use("Tokenization")),
        new("Serving", "brings many sequences together: queue, passes, memory, telemetry; knows neither text nor checkpoints",
            new Use("Kernels.Ops", Why: "sequences share pages, and memory is counted in them"), new Use("Models"),
            new Use("Constraints", Only: "Grammar", Why: "telemetry tells a request's options"), new Use("Generation")),
        new("Measurement", "times sequences beside the machine's limits; what runs them is behind an interface", new Use("Kernels.Limits"), new Use("Models")),
        new("Adapters", "LoRA adapters: their files, and their factors as the forward pass takes them",
            new Use("Kernels.Formats"), new Use("Kernels.Isa"), new Use("Kernels.Memory"),
            new Use("Kernels.Ops", Why: "the second factor is packed as its kernel reads it, in the model's order of rows"),
            new Use("Weights"), new Use("Models"),
            new Use("Checkpoints", Only: "FolderSource", Why: "an adapter is a folder of files as a checkpoint is")),
        new("Compression.Scores", "block scores as text"),
        new("Compression.Conversion", "carries tensors and metadata from one file to another; which ones is not decided here",
            new Use("Kernels.Formats", Why: "stored weights are widened to be stored anew"), new Use("Kernels.Memory"),
            new Use("Weights"), new Use("Tokenization"), new Use("Models"), new Use("Checkpoints")),
        new("Compression.Evaluation", "reads questions and scores answers with the forward pass; does not know how models are loaded",
            new Use("Kernels.Ops", Only: "KvShape", Why: "a sequence's memory decides how many are run together"), new Use("Models"), new Use("Tokenization")),
        new("Compression.Vocabulary", "counts words and joins symbols, in strings alone"),
        new("Compression.Data", "turns files of examples into samples", new Use("Kernels.Memory"), new Use("Weights", Only: "StrictJson", Why: "strangers' JSON too"),
            new Use("Tokenization"), new Use("Chat")),
        new("Compression.Training", "learns, whatever the model; its parameters are native memory, its states safetensors",
            new Use("Kernels.Memory"), new Use("Weights"), new Use("Sampling", Only: "CounterRandom", Why: "chance is a function of seed and step"),
            new Use("Models", Only: "BlockMatrix, BlockMatrices", Why: "parameters are named by projection"), new Use("Adapters")),
        new("Compression.Backprop", "the forward pass over whole sequences, and its gradient",
            new Use("Kernels.Formats"), new Use("Kernels.Gemm"), new Use("Kernels.Isa"), new Use("Kernels.Matmul"), new Use("Kernels.Memory"), new Use("Kernels.Ops"),
            new Use("Kernels.Threading"), new Use("Weights", Why: "new weights are bound as loaded ones are"), new Use("Models"),
            new Use("Sampling", Only: "CounterRandom", Why: "chance is a function of seed and place"), new Use("Compression.Training")),
        new("Compression.Scoring", "measures blocks by what the passes show of them",
            new Use("Kernels.Gemm"), new Use("Kernels.Matmul"), new Use("Kernels.Memory"), new Use("Weights"), new Use("Models"), new Use("Compression.Backprop")),
        new("Compression", "the public face of shortening, over the library and its public face",
            new Use("Kernels.Isa", Why: "a checkpoint is bound to be checked"), new Use("Kernels.Memory"),
            new Use("Kernels.Ops", Only: "Operations, LowRank", Why: "a merged adapter is added to weights as a running one is to products"),
            new Use("Adapters"), new Use("Compression.Scores"),
            new Use("Compression.Conversion"), new Use("Compression.Evaluation"), new Use("Compression.Vocabulary"), new Use("Compression.Data"),
            new Use("Compression.Training"), new Use("Compression.Backprop"), new Use("Compression.Scoring"), new Use("Sampling", Only: "CounterRandom", Why: "passages are drawn"),
            new Use("Weights"), new Use("Models"), new Use("Tokenization"), new Use("Chat"), new Use("Checkpoints"), new Use("Generation")),
        new(Root, "the public face over everything below; of the kernels it knows which instruction set was asked for, and how fast the machine is",
            new Use("Kernels.Isa"), new Use("Kernels.Limits"), new Use("Measurement"), new Use("Weights"), new Use("Tokenization"), new Use("Sampling"), new Use("Constraints"), new Use("Chat"), new Use("Models"),
            new Use("Checkpoints"), new Use("Adapters"), new Use("Generation"), new Use("Serving"),
            new Use("Kernels.Ops", Only: "KvShape", File: "InferenceEngine", Why: "a budget in bytes is one in pages")),
    ];

    // Left out are those that are no friend assemblies: the compiler holds them to the public face.
    private static readonly string[] Strangers = [$"{Prefix}.Cli", $"{Prefix}.Extensions", $"{Prefix}.AspNetCore"];

    private static readonly IReadOnlyList<SourceFile> Library =
        [.. SourceFile.All.Where(file => !Strangers.Any(stranger => file.Namespace.StartsWith(stranger, StringComparison.Ordinal)))];

    // A type in several files is all of them.
    private static readonly ILookup<string, SourceFile> RootTypes = Library
        .Where(file => LayerOf(file) == Root)
        .SelectMany(file => file.DeclaredTypes.Select(type => (type, file)))
        .ToLookup(pair => pair.type, pair => pair.file);

    [Fact]
    public void Namespace_OfEveryFile_IsItsFolder() =>
        Assert.All(Library, file => Assert.Equal(Path.GetDirectoryName(file.RelativePath)!.Replace('\\', '.').Replace('/', '.'), file.Namespace));

    [Fact]
    public void Namespace_OfEveryFile_IsInTheTable() =>
        Assert.All(Library, file =>
            Assert.True(file.Namespace == Prefix || LayerOf(file) != Root, $"{file.RelativePath}: no layer of the table holds {file.Namespace}."));

    [Fact]
    public void References_OfEveryFile_StayWithinTheTable() => Assert.Empty(Library.SelectMany(Trespasses).ToArray());

    [Fact]
    public void RootTypes_ThatALayerNames_UseNothingBeyondThatLayer()
    {
        string[] trespasses =
        [
            .. from file in Library
               let layer = LayerNamed(LayerOf(file))
               where layer.Name != Root && !IsAboveRoot(layer)
               where layer.Name != Root && layer.Name != Shortening
               from type in RootTypesNamedIn(file)
               from used in UsesOfRootType(type)
               where used != layer.Name && layer.Find(used) is null
               select $"{file.RelativePath} names {type}, which uses '{used}', which '{layer.Name}' may not use.",
        ];
        Assert.Empty(trespasses);
    }

    [Fact]
    public void Table_HoldsNoPermissionThatNobodyNeeds()
    {
        // By a file itself, or by a type of the public face that it names.
        var needed = Library
            .SelectMany(file => Uses(file).Concat(RootTypesNamedIn(file).SelectMany(UsesOfRootType)).Select(used => (LayerOf(file), used)))
            .ToHashSet();
        string[] unused =
        [
            .. from layer in Layers
               from use in layer.Uses
               where !needed.Contains((layer.Name, use.Layer))
               select $"'{layer.Name}' no longer uses '{use.Layer}'.",
        ];
        Assert.Empty(unused);
    }

    [Fact]
    public void Table_HasNoCycleButTheRegistryOfFormats()
    {
        string[] cycles =
        [
            .. from a in Layers
               from b in Layers
               where string.CompareOrdinal(a.Name, b.Name) < 0 && Reaches(a, b.Name, []) && Reaches(b, a.Name, [])
               select $"{a.Name} and {b.Name}",
        ];
        Assert.Equal(["Kernels.Formats and Kernels.Matmul"], cycles);
    }

    [Fact]
    public void KernelsProject_KnowsNothingOfTheLibrary() =>
        Assert.All(Library.Where(file => LayerOf(file).StartsWith("Kernels", StringComparison.Ordinal)), file =>
            Assert.All(Uses(file), used => Assert.StartsWith("Kernels.", used, StringComparison.Ordinal)));

    [Fact]
    public void Scanner_OfCodeThatReachesUp_SeesIt()
    {
        SourceFile file = SourceFile.Of(
            """
            using Vicuna.Managed.Chat;
            using Alias = Vicuna.Managed.Models.Architectures.Architecture;
            namespace Vicuna.Managed.Weights;
            class C { Checkpoints.Checkpoint c; }
            """);
        Assert.Equal(["Chat", "Checkpoints", "Models"], Uses(file));
        Assert.Equal(3, Trespasses(file).Count());
        Assert.Contains("Checkpoints", UsesOfRootType("LanguageModel"));
        Assert.Empty(UsesOfRootType("ModelFormatException"));
    }

    private static IEnumerable<string> Trespasses(SourceFile file)
    {
        Layer layer = LayerNamed(LayerOf(file));
        foreach (string used in Uses(file))
        {
            Use? use = layer.Find(used);
            if (use is null)
            {
                yield return $"{file.RelativePath}: '{layer.Name}' may not use '{used}': it {layer.Purpose}.";
                continue;
            }

            if (use.File is not null && !Path.GetFileName(file.RelativePath).StartsWith(use.File, StringComparison.Ordinal))
            {
                yield return $"{file.RelativePath}: only {use.File}*.cs of '{layer.Name}' may use '{used}': {use.Why}.";
            }

            IEnumerable<string> named = file.Names.Concat(QualifiedNames(file).SelectMany(name => name.Split('.')));
            foreach (string type in Library.Where(other => LayerOf(other) == used).SelectMany(other => other.DeclaredTypes).Intersect(named))
            {
                if (use.Only is not null && !use.Only.Split(", ").Contains(type))
                {
                    yield return $"{file.RelativePath}: '{layer.Name}' may use {use.Only} of '{used}', not {type}: {use.Why}.";
                }
            }
        }
    }

    // A project of its own over the library: it takes loaded models, and so whatever they are made of.
    private static bool IsAboveRoot(Layer layer) => layer.Name.Split('.')[0] == "Compression";

    private static Layer LayerNamed(string name) => Layers.Single(layer => layer.Name == name);

    private static string LayerOf(SourceFile file) => LayerOf(file.Namespace.Length > Prefix.Length ? file.Namespace[(Prefix.Length + 1)..] : Root);

    // The layer of a namespace without the common prefix: Weights.Gguf belongs to Weights.
    private static string LayerOf(string name) =>
        Layers.FirstOrDefault(layer => layer.Name != Root && (name + ".").StartsWith(layer.Name + ".", StringComparison.Ordinal))?.Name ?? Root;

    // Layers that a file refers to, its own left out.
    private static string[] Uses(SourceFile file) =>
        [.. QualifiedNames(file).Select(LayerOf).Where(used => used != Root && used != LayerOf(file)).Distinct().Order(StringComparer.Ordinal)];

    // Names with dots, without the common prefix. Inside Vicuna.Managed.Weights, 'Models.Decoder' and 'Kernels.Ops.Rope' are names of other
    // layers; inside the kernels 'Ops.Rope' is one too.
    private static IEnumerable<string> QualifiedNames(SourceFile file)
    {
        IEnumerable<string> full = FullNamePattern().Matches(file.Code).Select(match => match.Groups[1].Value);
        IEnumerable<string> partial = PartialNamePattern().Matches(file.Code).Select(match => match.Value);
        return full.Concat(partial).Concat(file.Namespace.Contains(".Kernels", StringComparison.Ordinal) ? partial.Select(name => "Kernels." + name) : []);
    }

    private static IEnumerable<string> RootTypesNamedIn(SourceFile file) => RootTypes.Select(type => type.Key).Where(file.Names.Contains);

    private static HashSet<string> UsesOfRootType(string type)
    {
        HashSet<string> seen = [type];
        Queue<string> open = new(seen);
        HashSet<string> uses = [];
        while (open.TryDequeue(out string? next))
        {
            uses.UnionWith(RootTypes[next].SelectMany(Uses));
            foreach (string named in RootTypes[next].SelectMany(RootTypesNamedIn).Where(seen.Add))
            {
                open.Enqueue(named);
            }
        }

        return uses;
    }

    private static bool Reaches(Layer from, string to, HashSet<string> seen) =>
        from.Find(to) is not null || from.Uses.Any(use => seen.Add(use.Layer) && Reaches(LayerNamed(use.Layer), to, seen));

    [GeneratedRegex(@"\bVicuna\.Managed\.([A-Z]\w*(?:\.[A-Z]\w*)*)")]
    private static partial Regex FullNamePattern();

    [GeneratedRegex(@"(?<![\w.])[A-Z]\w*(?:\.[A-Z]\w*)+")]
    private static partial Regex PartialNamePattern();

    private sealed record Use(string Layer, string? Only = null, string? File = null, string? Why = null);

    private sealed record Layer(string Name, string Purpose, params Use[] Uses)
    {
        public Use? Find(string used) => Uses.FirstOrDefault(use => use.Layer == used);
    }
}
