using Vicuna.Managed.Chat;

namespace Vicuna.Managed;

/// <summary>How a model is loaded and run.</summary>
public sealed record LoadOptions
{
    /// <summary>
    /// Threads that compute, the calling one included, 1 to 1,024. Default: the processors that this process may use
    /// (<see cref="Environment.ProcessorCount"/>: affinity and container limits count). Results do not depend on it.
    /// </summary>
    public int? Threads { get; init; }

    /// <summary>
    /// Threads that work on prompts, 1 to 1,024. Default: <see cref="Threads"/>. One token at a time is bounded by memory, which a few threads exhaust;
    /// prompts are bounded by arithmetic, which takes all.
    /// </summary>
    public int? PrefillThreads { get; init; }

    /// <summary>Vector instructions. Default: the best.</summary>
    public InstructionSet InstructionSet { get; init; }

    /// <summary>Most tokens of a sequence, 2 or more. Default, and most: what the model was made for (<c>max_position_embeddings</c>).</summary>
    public int? ContextLength { get; init; }

    /// <summary>
    /// Quantization of the weight matrices when the model is loaded, which takes memory of its own for them. Default: none, which maps and computes
    /// with what the files hold; GGUF's Q8_0 and Q4_0, which are rearranged without loss, take memory of their own then too.
    /// </summary>
    public Quantization Quantization { get; init; }

    /// <summary>
    /// False (the default) multiplies GGUF's Q8_0 and Q4_0 weights with activations that are rounded to 16 or 8 bits, which is fast.
    /// True leaves block-quantized weights as stored and multiplies them with the activations in single precision, so that the results are those of the
    /// dequantized weights: for measurements and comparisons, slower. Of no effect on weights in F32, F16 or BF16, whose products
    /// are always exact in this sense. Not together with <see cref="Quantization"/>.
    /// </summary>
    public bool ExactProducts { get; init; }

    /// <summary>How keys and values are stored. Default: half precision.</summary>
    public KeyValueType KeyValueType { get; init; }

    /// <summary>
    /// False (the default) maps the weight files: no copy, memory shared between processes, loading in an instant; but a file that is cut short
    /// while it is mapped ends the process. True copies them into memory first.
    /// </summary>
    public bool CopyToMemory { get; init; }

    /// <summary>
    /// True (the default) asks Linux for large pages for weights that are quantized, rearranged or copied into memory. They are read faster then, above
    /// all in virtual machines, and sooner there. A hint: the system may not follow it. Of no effect on mapped files and elsewhere.
    /// </summary>
    public bool HugePages { get; init; } = true;

    /// <summary>True (the default) follows symbolic links, as which the hub's cache stores files. False refuses them, for folders that others can write to.</summary>
    public bool AllowSymbolicLinks { get; init; } = true;

    /// <summary>
    /// Blocks to leave out, by their numbers in the checkpoint, from 0; null or empty for none. The model runs as if it had been shortened by them: its
    /// other blocks are numbered anew, and its shape, its size and the memory that it takes are those of the shorter model. Mapped weights are not
    /// copied; weights of a block that is left out are neither quantized nor copied.
    /// </summary>
    public IReadOnlyCollection<int>? RemovedBlocks { get; init; }

    /// <summary>The conversation template. Default: the model's own, as far as its files tell; Vicuna's where they say nothing.</summary>
    public IPromptFormatter? PromptFormatter { get; init; }

    /// <summary>Hears how far loading has come; called from the loading thread.</summary>
    public IProgress<LoadProgress>? Progress { get; init; }

    /// <summary>Most tokens that pass through the model together, of one prompt or of several sequences.</summary>
    internal int PrefillChunkTokens { get; init; } = 512;
}
