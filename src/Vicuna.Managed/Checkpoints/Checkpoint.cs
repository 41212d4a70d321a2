using Vicuna.Managed.Chat;
using Vicuna.Managed.Kernels.Ops;
using Vicuna.Managed.Models;
using Vicuna.Managed.Tokenization;
using Vicuna.Managed.Weights;
using Vicuna.Managed.Weights.Gguf;

namespace Vicuna.Managed.Checkpoints;

/// <summary>An opened checkpoint of any container: config, tensors, tokenizer and defaults. Disposing it gives up the weights' memory.</summary>
internal sealed record Checkpoint : IDisposable
{
    /// <summary>Where it is, for messages.</summary>
    public required string Name { get; init; }

    /// <summary><c>safetensors</c>, <c>pytorch</c> or <c>gguf</c>.</summary>
    public required string Format { get; init; }

    /// <summary>The model's shape.</summary>
    public required ModelConfig Config { get; init; }

    /// <summary>The weights.</summary>
    public required TensorSet Tensors { get; init; }

    /// <summary>Row order of Q and K.</summary>
    public required RopeStyle RopeStyle { get; init; }

    /// <summary>The tokenizer, or null where there is none that the library reads.</summary>
    public required SentencePieceTokenizer? Tokenizer { get; init; }

    /// <summary>Why there is no tokenizer, where there is none.</summary>
    public string? TokenizerProblem { get; init; }

    /// <summary>Default options.</summary>
    public required GenerationOptions DefaultOptions { get; init; }

    /// <summary>Ids that end an answer.</summary>
    public required IReadOnlyList<int> EndOfSequenceIds { get; init; }

    /// <summary>The model's conversation template, or null where its own is not one that the library knows.</summary>
    public required IPromptFormatter? PromptFormatter { get; init; }

    /// <summary>The model's conversation template as its files have it, in Jinja's language; null where there is none, or several.</summary>
    public string? ChatTemplate { get; init; }

    /// <summary>All of a GGUF file's metadata; null of other containers. Its arrays lie in the memory of <see cref="Tensors"/>.</summary>
    public GgufMetadata? Metadata { get; init; }

    /// <summary>Opens a folder or a .gguf file.</summary>
    /// <exception cref="FileNotFoundException">There is nothing at the path.</exception>
    /// <exception cref="ModelFormatException">What is there is damaged or not supported.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static Checkpoint Open(string path, TensorSetOptions options, CancellationToken cancellationToken)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        if (Directory.Exists(path))
        {
            string[] ggufFiles = File.Exists(Path.Combine(path, HuggingFaceCheckpoint.ConfigFile)) ? [] : Directory.GetFiles(path, "*.gguf");
            return ggufFiles.Length == 1
                ? GgufCheckpoint.Open(ggufFiles[0], options, cancellationToken)
                : HuggingFaceCheckpoint.Open(path, new FolderSource(path, options.AllowSymlinks), options, cancellationToken);
        }

        if (!File.Exists(path))
        {
            throw new FileNotFoundException($"{path}: expected a model folder or a .gguf file, found nothing.", path);
        }

        return Path.GetExtension(path).Equals(".gguf", StringComparison.OrdinalIgnoreCase)
            ? GgufCheckpoint.Open(path, options, cancellationToken)
            : throw new ModelFormatException(path, "expected a model folder or a .gguf file; for safetensors or .bin files give the folder that holds them and config.json", item: null);
    }

    /// <summary>The same checkpoint without some of its blocks, over the same memory: disposing either gives it up for both.</summary>
    /// <param name="cut">Which blocks go; of a model with as many blocks as this one.</param>
    public Checkpoint Without(BlockCut cut) => this with
    {
        Config = Config with { NumHiddenLayers = cut.Kept.Count },
        Tensors = Tensors.Renamed(cut.Rename),
    };

    /// <summary>What the checkpoint is.</summary>
    /// <param name="unused">Tensors that the model has no use for.</param>
    public CheckpointInfo Describe(IReadOnlyList<string> unused) => new()
    {
        Path = Name,
        Format = Format,
        Config = Config,
        Tensors = [.. Tensors.Tensors.Values.Select(tensor => tensor.Info).OrderBy(info => info.Name, StringComparer.Ordinal)],
        Warnings = [.. Tensors.Warnings, .. unused.Select(name => $"tensor {ModelFormatException.Quote(name)} is not used by the model")],
    };

    /// <summary>Gives up the weights' memory.</summary>
    public void Dispose() => Tensors.Dispose();
}
