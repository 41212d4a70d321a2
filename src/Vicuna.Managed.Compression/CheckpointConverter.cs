using Vicuna.Managed.Checkpoints;
using Vicuna.Managed.Compression.Conversion;
using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Models;
using Vicuna.Managed.Weights;
using Vicuna.Managed.Weights.Gguf;

namespace Vicuna.Managed.Compression;

/// <summary>Re-encodes checkpoints: from any container and type that is read to safetensors or GGUF, in little memory.</summary>
public static class CheckpointConverter
{
    private const string GgufSuffix = ".gguf";

    // Hugging Face's files of tokenizers that are not SentencePiece's.
    private static readonly string[] OtherTokenizers = ["tokenizer.json", "vocab.json", "vocab.txt"];

    // What a GGUF file has instead of a key for Llama 3's stretching of the rotary embedding.
    private const string RopeFactors = "rope_freqs.weight";

    /// <summary>
    /// Writes a checkpoint in another container or type. Where the type stays, every bit stays; block types that are not written (K-quants among them) are
    /// widened first. The same weights have the same bytes in whatever container they come, tied embeddings stay tied, and what the model has no use for
    /// is left out. A tokenizer of SentencePiece's kind comes along, and so does a chat template.
    /// </summary>
    /// <param name="model">The checkpoint: a folder or a .gguf file.</param>
    /// <param name="destination">
    /// For safetensors a folder, which must not exist or be empty; for GGUF a path that ends in .gguf, where there is nothing yet. It appears when all is
    /// written: a failed or cancelled call leaves nothing behind.
    /// </param>
    /// <param name="options">Container and type.</param>
    /// <param name="progress">Hears how many bytes of weights are written; called from the writing thread. Null for none.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <returns>What was written.</returns>
    /// <exception cref="FileNotFoundException">There is no checkpoint.</exception>
    /// <exception cref="ModelFormatException">
    /// The checkpoint is damaged or not supported, a value does not fit the type (the message names tensor and value), or the container cannot say what the
    /// model is.
    /// </exception>
    /// <exception cref="ArgumentException">The container does not have the type, or the destination does not fit the container.</exception>
    /// <exception cref="IOException">The destination is not empty, the disk has no room, or it cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">The destination may not be written to.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static ConvertResult Convert(
        string model, string destination, ConvertOptions options, IProgress<LoadProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(model);
        ArgumentException.ThrowIfNullOrEmpty(destination);
        ArgumentNullException.ThrowIfNull(options);
        Check(options, destination);
        using Checkpoint checkpoint = Checkpoint.Open(model, new TensorSetOptions(), cancellationToken);

        // What could not be loaded is not converted either.
        DecoderWeights.Bind(checkpoint.Config, checkpoint.Tensors.Tensors, checkpoint.Name, IsaTier.Scalar, checkpoint.RopeStyle).Dispose();
        RequireTokenizer(checkpoint, options.Container);
        return options.Container == ModelContainer.Gguf
            ? ToGguf(checkpoint, destination, options.Type, progress, cancellationToken)
            : ToFolder(checkpoint, destination, options.Type, progress, cancellationToken);
    }

    private static void Check(ConvertOptions options, string destination)
    {
        TensorType[] types = options.Container switch
        {
            ModelContainer.Gguf => [.. WeightEncoder.Types],
            ModelContainer.Safetensors => [.. WeightEncoder.Types.Where(type => type.BlockElements() == 1)],
            _ => throw new ArgumentOutOfRangeException(nameof(options), options.Container, "Not a container."),
        };
        if (!types.Contains(options.Type))
        {
            throw new ArgumentException($"{options.Container}: expected the type {string.Join(", ", types)}, found {options.Type}.", nameof(options));
        }

        if (destination.EndsWith(GgufSuffix, StringComparison.OrdinalIgnoreCase) != (options.Container == ModelContainer.Gguf))
        {
            string expected = options.Container == ModelContainer.Gguf ? $"a file that ends in {GgufSuffix}" : $"a folder, whose name does not end in {GgufSuffix}";
            throw new ArgumentException($"{destination}: expected the path of {expected}.", nameof(destination));
        }
    }

    // A folder takes its files along whatever they are; all else needs a tokenizer that is understood, unless there is none at all.
    private static void RequireTokenizer(Checkpoint checkpoint, ModelContainer container)
    {
        bool copies = (checkpoint.Metadata is not null) == (container == ModelContainer.Gguf);
        bool hasAnother = checkpoint.Metadata is { } metadata
            ? metadata.TryGetString("tokenizer.ggml.model", out string kind) && kind != GgufModelPairs.NoVocabulary
            : OtherTokenizers.Any(file => File.Exists(Path.Combine(checkpoint.Name, file)));
        if (!copies && checkpoint.Tokenizer is null && hasAnother)
        {
            throw new ModelFormatException(checkpoint.TokenizerProblem!);
        }
    }

    private static ConvertResult ToGguf(
        Checkpoint checkpoint, string destination, TensorType type, IProgress<LoadProgress>? progress, CancellationToken cancellationToken)
    {
        RowOrders orders = new(checkpoint, toGguf: true);
        List<OutputTensor> tensors =
        [
            .. GgufLayout.InOrder(checkpoint.Config).Select(name =>
            {
                StoredTensor source = checkpoint.Tensors.Tensors[name];
                bool isHead = name == (checkpoint.Config.TieWordEmbeddings ? GgufLayout.Embedding : GgufLayout.Head);
                return new OutputTensor(GgufTensorNames.ToGguf(name), GgufLayout.TypeOf(source.Info, type, isHead), source, orders.Of(name));
            }),
        ];
        using FactorsTensor? factors = FactorsTensor.Of(checkpoint.Config, RopeFactors);
        StoredTensor? stored = checkpoint.Tensors.Tensors.GetValueOrDefault(RopeFactors);
        if ((stored ?? factors?.Tensor) is { } ropeFactors)
        {
            tensors.Add(new OutputTensor(RopeFactors, TensorType.F32, ropeFactors));
        }

        GgufPairs pairs = checkpoint.Metadata is { } metadata
            ? GgufMetadataEdit.With(
                metadata,
                ("general.file_type", GgufLayout.FileType(type)),
                ("general.quantization_version", GgufLayout.QuantizationVersion),
                ("general.alignment", GgufWriter.DefaultAlignment))
            : GgufModelPairs.Of(checkpoint, type);
        (string path, long bytes) = GgufOutput.Write(destination, pairs, tensors, GgufWriter.DefaultAlignment, progress, cancellationToken);
        return new ConvertResult(path, bytes, tensors.Count);
    }

    private static ConvertResult ToFolder(
        Checkpoint checkpoint, string destination, TensorType type, IProgress<LoadProgress>? progress, CancellationToken cancellationToken)
    {
        bool isGguf = checkpoint.Metadata is not null;
        if (isGguf && checkpoint.Tensors.Tensors.ContainsKey(RopeFactors))
        {
            throw new ModelFormatException(
                checkpoint.Name, "expected a model whose rotary embedding a config.json can describe, found factors for it that it has no keys for", RopeFactors);
        }

        RowOrders orders = new(checkpoint, toGguf: false);
        OutputTensor[] tensors =
        [
            .. ModelTensors.Of(checkpoint.Config, type).Select(tensor =>
                new OutputTensor(tensor.Name, type, checkpoint.Tensors.Tensors[tensor.Name], orders.Of(tensor.Name))),
        ];
        string storageType = type switch
        {
            TensorType.F16 => "float16",
            TensorType.BF16 => "bfloat16",
            _ => "float32",
        };
        string config = Path.Combine(checkpoint.Name, HuggingFaceCheckpoint.ConfigFile);
        (string path, long bytes) = isGguf
            ? FolderOfGguf.Write(checkpoint, destination, tensors, storageType, progress, cancellationToken)
            : CheckpointFolder.Write(
                destination,
                tensors,
                ConfigEditor.Retype(File.ReadAllBytes(config), HuggingFaceCheckpoint.ConfigFile, storageType),
                checkpoint.Name,
                progress,
                cancellationToken);
        return new ConvertResult(path, bytes, tensors.Length);
    }
}
