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

    private static readonly Layer[] Layers =
    [
        new("Kernels.Memory", "owns memory and knows nothing of what is in it"),
        new("Kernels.Isa", "names instruction sets"),
        new("Kernels.Threading", "runs jobs; its work space is native memory", new Use("Kernels.Memory")),
        new("Kernels.Formats", "reads stored weights, at every tier", new Use("Kernels.Isa"),
            new Use("Kernels.Memory", File: "WeightFormat", Why: "the registry hands stored bytes to matrices"),
            new Use("Kernels.Matmul", Only: "WeightMatrix", File: "WeightFormat", Why: "the registry is where the generic matrix is closed over format and tier")),
        new("Kernels.Matmul", "multiplies stored matrices on many threads",
            new Use("Kernels.Formats"), new Use("Kernels.Isa"), new Use("Kernels.Memory"), new Use("Kernels.Threading")),
        new("Kernels.Ops", "all other arithmetic; attention's scores are a product of the f32 format",
            new Use("Kernels.Formats"), new Use("Kernels.Isa"), new Use("Kernels.Memory"), new Use("Kernels.Threading")),
        new("Weights", "parses files into named ranges of bytes; what is computed with them is not its business", new Use("Kernels.Memory")),
        new("Tokenization", "text to ids and back, without a model"),
        new("Sampling", "logits to an id, without a model"),
        new("Chat", "conversations to ids, which takes a tokenizer", new Use("Tokenization")),
        new("Models", "the forward pass: kernels over weights; knows neither text nor sampling",
            new Use("Kernels.Formats"), new Use("Kernels.Isa"), new Use("Kernels.Matmul"), new Use("Kernels.Memory"), new Use("Kernels.Ops"), new Use("Kernels.Threading"),
            new Use("Weights")),
        new("Checkpoints", "brings the parts of a checkpoint together: configuration, weights, tokenizer, template",
            new Use("Kernels.Memory"), new Use("Kernels.Ops", Only: "RopeStyle", Why: "the container decides how rows are ordered"),
            new Use("Generation", Only: "OptionsResolver", Why: "a file's defaults are checked as a caller's options are"),
            new Use("Weights"), new Use("Models"), new Use("Tokenization"), new Use("Chat")),
        new("Generation", "drives a sequence: options, stopping, saving",
            new Use("Kernels.Memory"), new Use("Kernels.Ops", Only: "KvShape", Why: "saving walks through the cache's pages"),
            new Use("Models"), new Use("Sampling"), new Use("Tokenization")),
        new(Root, "the public face over everything below; of the kernels it knows only which instruction set was asked for",
            new Use("Kernels.Isa"), new Use("Weights"), new Use("Tokenization"), new Use("Sampling"), new Use("Chat"), new Use("Models"), new Use("Checkpoints"), new Use("Generation")),
    ];

    private static readonly Dictionary<string, SourceFile> RootTypes = SourceFile.All
        .Where(file => LayerOf(file) == Root)
        .SelectMany(file => file.DeclaredTypes.Select(type => (type, file)))
        .ToDictionary(pair => pair.type, pair => pair.file);

    public static TheoryData<string> Files() => [.. SourceFile.All.Select(file => file.RelativePath)];

    [Theory]
    [MemberData(nameof(Files))]
    public void Namespace_OfEveryFile_IsItsFolder(string path)
    {
        string folder = Path.GetDirectoryName(path)!.Replace('\\', '/').Replace('/', '.');
        Assert.Equal(folder, Find(path).Namespace);
    }

    [Theory]
    [MemberData(nameof(Files))]
    public void References_OfEveryFile_StayWithinTheTable(string path)
    {
        SourceFile file = Find(path);
        Layer layer = Assert.Single(Layers, layer => layer.Name == LayerOf(file));
        foreach (string used in Uses(file))
        {
            Use use = layer.Find(used) ?? throw new InvalidOperationException($"{path}: '{layer.Name}' may not use '{used}': it {layer.Purpose}.");
            Assert.True(use.File is null || Path.GetFileName(path).StartsWith(use.File, StringComparison.Ordinal), $"{path}: only {use.File}*.cs of '{layer.Name}' may use '{used}': {use.Why}.");
            if (use.Only is not null)
            {
                IEnumerable<string> others = SourceFile.All.Where(other => LayerOf(other) == used).SelectMany(other => other.DeclaredTypes);
                Assert.Equal([use.Only], others.Intersect(file.Names.Concat(QualifiedNames(file).SelectMany(name => name.Split('.')))).ToArray());
            }
        }
    }

    [Theory]
    [MemberData(nameof(Files))]
    public void RootTypes_ThatALayerNames_UseNothingBeyondThatLayer(string path)
    {
        SourceFile file = Find(path);
        Layer layer = Assert.Single(Layers, layer => layer.Name == LayerOf(file));
        foreach (string type in layer.Name == Root ? [] : RootTypesNamedIn(file))
        {
            foreach (string used in UsesOfRootType(type))
            {
                Assert.True(used == layer.Name || layer.Find(used) is not null, $"{path} names {type}, which uses '{used}', which '{layer.Name}' may not use.");
            }
        }
    }

    [Fact]
    public void Table_HoldsNoPermissionThatNobodyNeeds()
    {
        var needed = SourceFile.All.SelectMany(file => Uses(file).Select(used => (LayerOf(file), used))).ToHashSet();
        Assert.All(Layers, layer => Assert.All(layer.Uses, use => Assert.True(needed.Contains((layer.Name, use.Layer)), $"'{layer.Name}' no longer uses '{use.Layer}': take it out of the table.")));
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
        Assert.All(SourceFile.All.Where(file => LayerOf(file).StartsWith("Kernels", StringComparison.Ordinal)), file =>
            Assert.All(Uses(file), used => Assert.StartsWith("Kernels.", used, StringComparison.Ordinal)));

    [Fact]
    public void Scanner_OfCodeThatReachesUp_SeesIt()
    {
        SourceFile file = SourceFile.Of("using Vicuna.Managed.Chat;\nusing Alias = Vicuna.Managed.Models.Architectures.Architecture;\nnamespace Vicuna.Managed.Weights;\nclass C { Checkpoints.Checkpoint c; }");
        Assert.Equal(["Chat", "Checkpoints", "Models"], Uses(file));
        Assert.Contains("Checkpoints", UsesOfRootType("LanguageModel"));
        Assert.Empty(UsesOfRootType("ModelFormatException"));
    }

    private static SourceFile Find(string path) => SourceFile.All.Single(file => file.RelativePath == path);

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

    private static IEnumerable<string> RootTypesNamedIn(SourceFile file) => RootTypes.Keys.Where(file.Names.Contains);

    private static HashSet<string> UsesOfRootType(string type)
    {
        HashSet<string> seen = [type];
        Queue<string> open = new(seen);
        HashSet<string> uses = [];
        while (open.TryDequeue(out string? next))
        {
            uses.UnionWith(Uses(RootTypes[next]));
            foreach (string named in RootTypesNamedIn(RootTypes[next]).Where(seen.Add))
            {
                open.Enqueue(named);
            }
        }

        return uses;
    }

    private static bool Reaches(Layer from, string to, HashSet<string> seen) =>
        from.Find(to) is not null || from.Uses.Any(use => seen.Add(use.Layer) && Reaches(Layers.Single(layer => layer.Name == use.Layer), to, seen));

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
