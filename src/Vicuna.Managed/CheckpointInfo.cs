using Vicuna.Managed.Models;
using Vicuna.Managed.Weights;

namespace Vicuna.Managed;

/// <summary>What a checkpoint is, told without loading its weights.</summary>
public sealed record CheckpointInfo
{
    /// <summary>Where it is: a folder or file.</summary>
    public required string Path { get; init; }

    /// <summary>The container: <c>safetensors</c>, <c>pytorch</c> or <c>gguf</c>.</summary>
    public required string Format { get; init; }

    /// <summary>The model's shape.</summary>
    public required ModelConfig Config { get; init; }

    /// <summary>Every tensor, in order of name.</summary>
    public required IReadOnlyList<TensorInfo> Tensors { get; init; }

    /// <summary>What is odd but does no harm, a line each: unused tensors, a wrong total size.</summary>
    public required IReadOnlyList<string> Warnings { get; init; }

    /// <summary>Number of weights.</summary>
    public long ParameterCount => Config.ParameterCount;

    /// <summary>Bytes of all tensors as stored.</summary>
    public long WeightBytes => Tensors.Sum(tensor => tensor.ByteLength);

    /// <summary>
    /// How keys and values are stored, which the checkpoint does not say: the model's own in <see cref="LanguageModel.Info"/>, the default
    /// elsewhere.
    /// </summary>
    public KeyValueType KeyValueType { get; init; }

    /// <summary>Quantization at load, which the checkpoint does not say: the model's own in <see cref="LanguageModel.Info"/>, none elsewhere.</summary>
    public Quantization Quantization { get; init; }

    /// <summary>
    /// Whether block-quantized weights stay as stored, <see cref="LoadOptions.ExactProducts"/>: the model's own in <see cref="LanguageModel.Info"/>,
    /// false elsewhere.
    /// </summary>
    public bool ExactProducts { get; init; }

    /// <summary>Bytes of keys and values per token of a sequence, stored as <see cref="KeyValueType"/> says.</summary>
    public long KeyValueBytesPerToken => Decoder.KvShapeOf(Config, KeyValueType).BytesPerPosition;

    /// <summary>Number of tensors of each storage type.</summary>
    public IReadOnlyDictionary<TensorType, int> TensorTypes => Tensors.CountBy(tensor => tensor.Type).ToDictionary();

    /// <summary>
    /// Computes the native memory that running the model takes, exactly, as <see cref="KeyValueType"/>, <see cref="Quantization"/> and
    /// <see cref="ExactProducts"/> say, with one call at a time; each further call at the same time takes buffers
    /// of its own, the size of <see cref="MemoryEstimate.WorkBytes"/> at most. Sequences that share a beginning take less.
    /// Beside it stand the runtime itself, the tokenizer, and some 30 managed bytes per sequence and token id of the vocabulary.
    /// </summary>
    /// <param name="tokens">Length of each sequence in tokens, 1 to the model's context.</param>
    /// <param name="sequences">Sequences at a time, 1 or more.</param>
    /// <param name="threads">Threads that compute, 1 or more, the larger number where prompts have another; null = as many as <see cref="LoadOptions.Threads"/> has by default.</param>
    /// <returns>The estimate.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A number is out of range.</exception>
    public MemoryEstimate EstimateMemory(int tokens, int sequences = 1, int? threads = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(tokens, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(tokens, Config.MaxPositionEmbeddings);
        ArgumentOutOfRangeException.ThrowIfLessThan(sequences, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(threads ?? 1, 1);
        long sequence = KvCache.MemoryBytes(Decoder.KvShapeOf(Config, KeyValueType), tokens);
        long pass = DecoderState.MemoryBytes(Config, new LoadOptions().PrefillChunkTokens);
        return new MemoryEstimate(
            LoadedWeights.Bytes(Config, Tensors, Quantization, ExactProducts),
            checked(pass + Decoder.PoolBytes(Config, threads ?? Environment.ProcessorCount)),
            checked(sequence * sequences));
    }
}
