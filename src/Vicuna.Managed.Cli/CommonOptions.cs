using System.CommandLine;
using Vicuna.Managed.Chat;

namespace Vicuna.Managed.Cli;

/// <summary>Options that several verbs share. Each verb has its own instances: an option belongs to one command.</summary>
internal sealed class CommonOptions
{
    private const string EmbeddedPrefix = "pico-vicuna/";

    private readonly Option<string?> _model = new("--model")
    {
        Description = "A Hugging Face folder or a .gguf file. Default: the embedded model pico-vicuna.",
        HelpName = "PATH",
    };

    private readonly Option<string[]> _models = new("--model")
    {
        Description = "A Hugging Face folder or a .gguf file; may be given several times. Default: the embedded model pico-vicuna.",
        HelpName = "PATH",
    };

    private readonly Option<int?> _threads = OptionsOf.Int("--threads", "Threads that compute. Default: all processors of this process.", 1, 1024);

    private readonly Option<int?> _prefillThreads = OptionsOf.Int("--prefill-threads", "Threads that work on prompts. Default: as --threads.", 1, 1024);

    private readonly Option<string> _isa = new("--isa") { Description = "Instruction set.", DefaultValueFactory = _ => "best" };

    private readonly Option<string> _quantize = new("--quantize") { Description = "Quantization of the weights at load: none, q8 or q4.", DefaultValueFactory = _ => "none" };

    private readonly Option<bool?> _exact;

    private readonly Option<string> _keyValues;

    private readonly bool _measures;

    private readonly Option<bool> _resident = new("--resident") { Description = "Copy the weights into memory; by default their files are mapped." };

    private readonly Option<bool> _hugePages = new("--huge-pages")
    {
        Description = "Ask Linux for large pages for weights that are quantized, rearranged or copied into memory; --huge-pages false does not.",
        DefaultValueFactory = _ => true,
    };

    private readonly Option<int[]> _removeBlocks = OptionsOf.Blocks("--remove-blocks", "Run the model without these blocks, numbered from 0, to try a cut.");

    private readonly Option<bool> _json = new("--json") { Description = "Print JSON, one object a line." };

    /// <summary>Adds the options to a verb.</summary>
    /// <param name="command">The verb.</param>
    /// <param name="computes">Whether the verb runs the model, and so has options of how.</param>
    /// <param name="measures">
    /// Whether the verb measures the model itself: keys and values are stored as computed and products are exact then, unless asked for otherwise.
    /// </param>
    /// <param name="sizes">Whether the verb, without running the model, tells how much memory it takes.</param>
    /// <param name="severalModels">Whether the verb takes several models, <see cref="ModelPaths"/>, and not one.</param>
    public CommonOptions(Command command, bool computes, bool measures = false, bool sizes = false, bool severalModels = false)
    {
        _keyValues = new("--kv")
        {
            Description = $"Storage of keys and values: f16, f32 or q8. Default: {(measures ? "f32, as computed, because this verb measures" : "f16")}.",
            DefaultValueFactory = _ => measures ? "f32" : "f16",
        };
        _exact = new("--exact")
        {
            Description = "Compute with block-quantized weights (Q8_0, Q4_0) exactly, slower; not together with --quantize. "
                + (measures ? "Default: true without --quantize, because this verb measures; --exact false computes as the others do." : "Default: false."),
            Arity = ArgumentArity.ZeroOrOne,
        };
        _measures = measures;
        _isa.AcceptOnlyFromAmong("best", "scalar", "avx2", "avx512");
        _quantize.AcceptOnlyFromAmong("none", "q8", "q4");
        _keyValues.AcceptOnlyFromAmong("f16", "f32", "q8");
        command.Add(severalModels ? _models : _model);
        command.Add(_json);
        if (computes)
        {
            command.Add(_threads);
            command.Add(_prefillThreads);
            command.Add(_isa);
            command.Add(_resident);
            command.Add(_hugePages);
            command.Add(_removeBlocks);
        }

        if (computes || sizes)
        {
            command.Add(_quantize);
            command.Add(_exact);
            command.Add(_keyValues);
        }
    }

    /// <summary>Whether JSON was asked for.</summary>
    public bool Json(ParseResult parsed) => parsed.GetValue(_json);

    /// <summary>How keys and values are to be stored.</summary>
    public KeyValueType KeyValues(ParseResult parsed) => parsed.GetValue(_keyValues) switch
    {
        "f32" => KeyValueType.F32,
        "q8" => KeyValueType.Q8,
        _ => KeyValueType.F16,
    };

    /// <summary>The model's path, or null for the embedded one.</summary>
    public string? ModelPath(ParseResult parsed) => parsed.GetValue(_model) is { } path ? NotEmpty(path) : null;

    /// <summary>The models' paths; null for the embedded one.</summary>
    public IReadOnlyList<string?> ModelPaths(ParseResult parsed) => parsed.GetValue(_models) is { Length: > 0 } paths ? [.. paths.Select(NotEmpty)] : [null];

    /// <summary>Quantization at load, as it was asked for.</summary>
    public Quantization Quantize(ParseResult parsed) => parsed.GetValue(_quantize) switch
    {
        "q8" => Quantization.Q8,
        "q4" => Quantization.Q4,
        _ => Quantization.None,
    };

    /// <summary>Whether products are to be exact.</summary>
    /// <exception cref="WrongUsageException">Quantization was asked for too.</exception>
    public bool Exact(ParseResult parsed)
    {
        // The option without a value says yes.
        bool? asked = parsed.GetResult(_exact) is { Tokens.Count: 0, Implicit: false } ? true : parsed.GetValue(_exact);
        bool quantizes = Quantize(parsed) != Quantization.None;
        return asked == true && quantizes
            ? throw new WrongUsageException("--exact and --quantize: expected one of them; quantized weights have no exact products.")
            : asked ?? (_measures && !quantizes);
    }

    /// <summary>The embedded model's files.</summary>
    public static IReadOnlyDictionary<string, ReadOnlyMemory<byte>> EmbeddedModel() => EmbeddedFiles.Read(typeof(CommonOptions).Assembly, EmbeddedPrefix);

    /// <summary>Loads the model that was named.</summary>
    public LanguageModel Load(ParseResult parsed, CancellationToken cancellationToken) => Load(parsed, null, cancellationToken);

    /// <summary>Loads the model that was named, with a conversation template of the caller's.</summary>
    public LanguageModel Load(ParseResult parsed, IPromptFormatter? formatter, CancellationToken cancellationToken) =>
        LoadFrom(ModelPath(parsed), parsed, formatter, cancellationToken);

    /// <summary>Loads a model from a path, or the embedded one.</summary>
    public LanguageModel LoadFrom(
        string? path, ParseResult parsed, IPromptFormatter? formatter, CancellationToken cancellationToken, int? contextLength = null)
    {
        LoadOptions options = new()
        {
            PromptFormatter = formatter,
            ContextLength = contextLength,
            Threads = parsed.GetValue(_threads),
            PrefillThreads = parsed.GetValue(_prefillThreads),
            CopyToMemory = parsed.GetValue(_resident),
            HugePages = parsed.GetValue(_hugePages),
            Quantization = Quantize(parsed),
            ExactProducts = Exact(parsed),
            KeyValueType = KeyValues(parsed),
            RemovedBlocks = parsed.GetValue(_removeBlocks),
            InstructionSet = parsed.GetValue(_isa) switch
            {
                "scalar" => InstructionSet.Scalar,
                "avx2" => InstructionSet.Avx2,
                "avx512" => InstructionSet.Avx512,
                _ => InstructionSet.Best,
            },
        };
        LanguageModel model = path is not null ? LanguageModel.Load(path, options, cancellationToken) : LanguageModel.LoadFiles(EmbeddedModel(), options);
        foreach (string warning in model.Info.Warnings)
        {
            Console.Error.WriteLine($"vicuna: warning: {warning}");
        }

        if (model.InstructionSetNotice is { } notice)
        {
            Console.Error.WriteLine($"vicuna: warning: {notice}");
        }

        return model;
    }

    private static string NotEmpty(string path) => path.Length > 0 ? path : throw new WrongUsageException("--model: expected a path, found an empty string.");
}
