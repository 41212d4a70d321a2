using System.Runtime.CompilerServices;
using Vicuna.Managed.Chat;
using Vicuna.Managed.Checkpoints;
using Vicuna.Managed.Generation;
using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Models;
using Vicuna.Managed.Tokenization;
using Vicuna.Managed.Weights;

namespace Vicuna.Managed;

/// <summary>
/// A loaded model: weights that any number of sequences share, a tokenizer, and the ways to generate text. Safe for concurrent use.
/// Dispose it when done: that ends its threads and gives up the weights' memory at once, or when the passes under way have ended.
/// </summary>
public sealed partial class LanguageModel : IDisposable
{
    private readonly Checkpoint _checkpoint;
    private readonly DecoderWeights _weights;
    private readonly Decoder _decoder;
    private readonly LoadOptions _options;
    private readonly HashSet<int> _endIds;
    private volatile bool _disposed;

    private LanguageModel(Checkpoint checkpoint, LoadOptions options, IsaTier tier, CancellationToken cancellationToken)
    {
        _checkpoint = checkpoint;
        _options = options;
        _weights = Bind(checkpoint, options, tier, cancellationToken);
        Info = checkpoint.Describe(_weights.UnusedTensors) with
        {
            KeyValueType = options.KeyValueType,
            Quantization = options.Quantization,
            ExactProducts = options.ExactProducts,
        };
        _endIds = [.. checkpoint.EndOfSequenceIds];
        int threads = ThreadsOf(options);
        try
        {
            _decoder = new Decoder(
                checkpoint.Config, _weights, tier, threads, options.PrefillThreads ?? threads, options.KeyValueType, options.PrefillChunkTokens);
        }
        catch
        {
            _weights.Dispose();
            throw;
        }
    }

    /// <summary>What the checkpoint is.</summary>
    public CheckpointInfo Info { get; }

    /// <summary>The model's shape.</summary>
    public ModelConfig Config => _checkpoint.Config;

    /// <summary>Most tokens of a sequence.</summary>
    public int ContextLength => _options.ContextLength ?? Config.MaxPositionEmbeddings;

    /// <summary>Threads that compute.</summary>
    public int Threads => _decoder.Threads;

    /// <summary>Threads that work on prompts.</summary>
    public int PrefillThreads => _decoder.PrefillThreads;

    /// <summary>How keys and values are stored.</summary>
    public KeyValueType KeyValueType => _options.KeyValueType;

    /// <summary>Quantization at load that was asked for.</summary>
    public Quantization Quantization => _options.Quantization;

    /// <summary>Whether products with block-quantized weights of the files are exact, <see cref="LoadOptions.ExactProducts"/>.</summary>
    public bool ExactProducts => _options.ExactProducts;

    /// <summary>Vector instructions in use; never <see cref="Managed.InstructionSet.Best"/>.</summary>
    public InstructionSet InstructionSet => _decoder.Tier switch
    {
        IsaTier.Avx512 => InstructionSet.Avx512,
        IsaTier.Avx2 => InstructionSet.Avx2,
        _ => InstructionSet.Scalar,
    };

    /// <summary>
    /// A line to show to the user where <see cref="InstructionSet.Best"/> is less than the CPU has, above all in a program that was compiled ahead of
    /// time without <c>IlcInstructionSet</c>; null where all is well or the instruction set was chosen by <see cref="LoadOptions.InstructionSet"/>.
    /// </summary>
    public string? InstructionSetNotice => _options.InstructionSet == InstructionSet.Best
        ? CpuTier.Notice(_decoder.Tier, CpuTier.OfThisCpu, !RuntimeFeature.IsDynamicCodeCompiled)
        : null;

    /// <summary>Options where the caller has none: the model's <c>generation_config.json</c>; greedy where it says nothing of sampling.</summary>
    public GenerationOptions DefaultOptions => _checkpoint.DefaultOptions;

    /// <summary>Ids that end an answer.</summary>
    public IReadOnlyCollection<int> EndOfSequenceIds => _endIds;

    /// <summary>Whether the checkpoint has a tokenizer that the library reads.</summary>
    public bool HasTokenizer => _checkpoint.Tokenizer is not null;

    /// <summary>The model's tokenizer.</summary>
    /// <exception cref="ModelFormatException">The checkpoint has none that the library reads; token ids work all the same.</exception>
    public SentencePieceTokenizer Tokenizer => _checkpoint.Tokenizer ?? throw new ModelFormatException(_checkpoint.TokenizerProblem!);

    /// <summary>The conversation template.</summary>
    /// <exception cref="ModelFormatException">The model's own template is not one that the library knows: give one in <see cref="LoadOptions.PromptFormatter"/>.</exception>
    public IPromptFormatter PromptFormatter => _options.PromptFormatter ?? _checkpoint.PromptFormatter
        ?? throw new ModelFormatException($"{_checkpoint.Name}: the model's chat template is not one of {string.Join(", ", PromptTemplates.Names)}; set LoadOptions.PromptFormatter.");

    /// <summary>The weights, for whoever computes with them otherwise.</summary>
    internal DecoderWeights Weights => _weights;

    /// <summary>The forward pass, for whoever brings sequences together.</summary>
    internal Decoder Decoder => _decoder;

    /// <summary>Loads a model.</summary>
    /// <param name="path">A folder as downloaded from the model hub (config.json, safetensors or .bin files, tokenizer.model) or a .gguf file.</param>
    /// <param name="options">How to load; null for the defaults.</param>
    /// <param name="cancellationToken">Stops loading.</param>
    /// <returns>The model; the caller disposes it.</returns>
    /// <exception cref="FileNotFoundException">There is nothing at the path.</exception>
    /// <exception cref="ModelFormatException">The checkpoint is damaged or not supported.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of range, or a removed block's number is.</exception>
    /// <exception cref="ArgumentException">
    /// Exact products were asked for together with a quantization; or a block is removed twice, or all are.
    /// </exception>
    /// <exception cref="PlatformNotSupportedException">The CPU lacks the instructions that were asked for.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static LanguageModel Load(string path, LoadOptions? options = null, CancellationToken cancellationToken = default) =>
        Load(options, tensorOptions => Checkpoint.Open(path, tensorOptions, cancellationToken), cancellationToken);

    /// <summary>Loads a model from files in memory, for example from <see cref="EmbeddedFiles.Read"/>.</summary>
    /// <param name="files">The files of a Hugging Face folder by name: config.json, model.safetensors, tokenizer.model and so on.</param>
    /// <param name="options">How to load; null for the defaults.</param>
    /// <returns>The model; the caller disposes it. The weights have been copied.</returns>
    /// <exception cref="ModelFormatException">The checkpoint is damaged or not supported.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of range, or a removed block's number is.</exception>
    /// <exception cref="ArgumentException">
    /// Exact products were asked for together with a quantization; or a block is removed twice, or all are.
    /// </exception>
    /// <exception cref="PlatformNotSupportedException">The CPU lacks the instructions that were asked for.</exception>
    public static LanguageModel LoadFiles(IReadOnlyDictionary<string, ReadOnlyMemory<byte>> files, LoadOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(files);
        MemorySource source = new(files);
        return Load(options, tensorOptions => HuggingFaceCheckpoint.Open(source.Name, source, tensorOptions, CancellationToken.None), CancellationToken.None);
    }

    /// <summary>Loads a model on a thread of its own.</summary>
    /// <param name="path">A folder as downloaded from the model hub or a .gguf file.</param>
    /// <param name="options">How to load; null for the defaults.</param>
    /// <param name="cancellationToken">Stops loading.</param>
    /// <returns>The model; the caller disposes it.</returns>
    /// <exception cref="FileNotFoundException">There is nothing at the path.</exception>
    /// <exception cref="ModelFormatException">The checkpoint is damaged or not supported.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static Task<LanguageModel> LoadAsync(string path, LoadOptions? options = null, CancellationToken cancellationToken = default) =>
        ComputeThread.Run(() => Load(path, options, cancellationToken), cancellationToken);

    /// <summary>Tells what a checkpoint is and checks that it is whole, without loading the weights.</summary>
    /// <param name="path">A folder as downloaded from the model hub or a .gguf file.</param>
    /// <returns>Format, shape, tensors and sizes.</returns>
    /// <exception cref="FileNotFoundException">There is nothing at the path.</exception>
    /// <exception cref="ModelFormatException">The checkpoint is damaged or not supported.</exception>
    public static CheckpointInfo Inspect(string path)
    {
        using Checkpoint checkpoint = Checkpoint.Open(path, new TensorSetOptions(), CancellationToken.None);
        return checkpoint.Describe(
            DecoderWeights.Bind(checkpoint.Config, checkpoint.Tensors.Tensors, checkpoint.Name, IsaTier.Scalar, checkpoint.RopeStyle).UnusedTensors);
    }

    /// <summary>Starts an empty sequence, to be driven step by step.</summary>
    /// <param name="options">How to choose tokens; null for the model's defaults.</param>
    /// <returns>The sequence; the caller disposes it.</returns>
    /// <exception cref="ArgumentException">An option is out of range.</exception>
    /// <exception cref="ModelFormatException">There is a constraint, and the model has no tokenizer.</exception>
    /// <exception cref="ObjectDisposedException">The model has been disposed.</exception>
    public Generator CreateGenerator(GenerationOptions? options = null) => CreateGenerator(options, ContextLength);

    /// <summary>Starts an empty sequence with a context of its own.</summary>
    internal Generator CreateGenerator(GenerationOptions? options, int contextLength)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        GenerationOptions merged = OptionsResolver.Merge(options, DefaultOptions);
        // A constraint is about text.
        SentencePieceTokenizer? tokenizer = merged.Constraint is null ? _checkpoint.Tokenizer : Tokenizer;
        return new Generator(_decoder, tokenizer, merged, contextLength, [.. _endIds]);
    }

    /// <summary>Turns a prompt into token ids, as the generating methods do.</summary>
    /// <param name="prompt">Text, ids or a conversation.</param>
    /// <returns>The ids.</returns>
    /// <exception cref="ArgumentException">The roles of a conversation come in another order, or a text has no tokens.</exception>
    /// <exception cref="ModelFormatException">The prompt is not ids and the model has no tokenizer, or no known template.</exception>
    public IReadOnlyList<int> Encode(Prompt prompt)
    {
        ArgumentNullException.ThrowIfNull(prompt);
        IReadOnlyList<int> ids = prompt switch
        {
            { Tokens: { } tokens } => tokens,
            { Messages: { } messages } => PromptEncoder.Encode(Tokenizer, PromptFormatter.Format(messages)),
            _ => Tokenizer.Encode(prompt.Text, Tokenizer.AddBos),
        };
        return ids.Count > 0 ? ids : throw new ArgumentException("The prompt has no tokens.", nameof(prompt));
    }

    /// <summary>Generates an answer on the calling thread.</summary>
    /// <param name="prompt">Text to continue, ids, or a conversation to answer.</param>
    /// <param name="options">How to generate; null for the model's defaults.</param>
    /// <param name="cancellationToken">Stops the work, in a prompt too.</param>
    /// <returns>The answer.</returns>
    /// <exception cref="ArgumentException">An option or the prompt is wrong.</exception>
    /// <exception cref="ContextLengthExceededException">The prompt does not fit the context.</exception>
    /// <exception cref="ModelFormatException">The prompt is not ids and the model has no tokenizer, or no known template.</exception>
    /// <exception cref="NonFiniteLogitsException">The model's output is not a number.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">The model has been disposed.</exception>
    public GenerationResult Generate(Prompt prompt, GenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(prompt);
        return Run(prompt, options, static _ => { }, cancellationToken);
    }

    /// <summary>Generates an answer on a thread of its own.</summary>
    /// <param name="prompt">Text to continue, ids, or a conversation to answer.</param>
    /// <param name="options">How to generate; null for the model's defaults.</param>
    /// <param name="cancellationToken">Stops the work, in a prompt too.</param>
    /// <returns>The answer.</returns>
    /// <exception cref="ArgumentException">An option or the prompt is wrong.</exception>
    /// <exception cref="ContextLengthExceededException">The prompt does not fit the context.</exception>
    /// <exception cref="ModelFormatException">The prompt is not ids and the model has no tokenizer, or no known template.</exception>
    /// <exception cref="NonFiniteLogitsException">The model's output is not a number.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">The model has been disposed.</exception>
    public Task<GenerationResult> GenerateAsync(Prompt prompt, GenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        CheckRequest(prompt, options);
        return ComputeThread.Run(() => Run(prompt, options, static _ => { }, cancellationToken), cancellationToken);
    }

    /// <summary>Generates an answer on a thread of its own, piece by piece. Leaving the loop early stops the work.</summary>
    /// <param name="prompt">Text to continue, ids, or a conversation to answer.</param>
    /// <param name="options">How to generate; null for the model's defaults.</param>
    /// <param name="cancellationToken">Stops the work, in a prompt too.</param>
    /// <returns>The pieces; the last one carries the whole answer, its finish reason and timings.</returns>
    /// <exception cref="ArgumentException">An option or the prompt is wrong.</exception>
    /// <exception cref="ContextLengthExceededException">The prompt does not fit the context.</exception>
    /// <exception cref="ModelFormatException">The prompt is not ids and the model has no tokenizer, or no known template.</exception>
    /// <exception cref="NonFiniteLogitsException">The model's output is not a number.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">The model has been disposed.</exception>
    public IAsyncEnumerable<GenerationChunk> StreamAsync(Prompt prompt, GenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        CheckRequest(prompt, options);
        return TextGeneration.Stream((emit, stop) => Run(prompt, options, emit, stop), cancellationToken);
    }

    /// <summary>
    /// Generates answers to several prompts together on the calling thread: the weights are read once for all of them, so that it takes far less
    /// time than one after the other. Each answer is the one that <see cref="Generate"/> gives, with a given seed too. All prompts
    /// are in memory at a time.
    /// </summary>
    /// <param name="prompts">Texts to continue, ids, or conversations to answer, in any mix.</param>
    /// <param name="options">How to generate, the same for all; null for the model's defaults.</param>
    /// <param name="cancellationToken">Stops the work, in a prompt too.</param>
    /// <returns>The answers, in the order of the prompts.</returns>
    /// <exception cref="ArgumentException">An option or a prompt is wrong.</exception>
    /// <exception cref="ContextLengthExceededException">A prompt does not fit the context.</exception>
    /// <exception cref="ModelFormatException">A prompt is not ids and the model has no tokenizer, or no known template.</exception>
    /// <exception cref="NonFiniteLogitsException">The model's output is not a number.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">The model has been disposed.</exception>
    public IReadOnlyList<GenerationResult> GenerateBatch(IReadOnlyList<Prompt> prompts, GenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(prompts);
        List<TextGeneration> answers = [];
        try
        {
            foreach (Prompt prompt in prompts)
            {
                IReadOnlyList<int> ids = Encode(prompt);
                answers.Add(Prepare(CreateGenerator(options), prompt.Messages is not null));
                answers[^1].Begin(ids);
            }

            return BatchGeneration.Run(_decoder, answers, cancellationToken);
        }
        finally
        {
            answers.ForEach(answer => answer.Generator.Dispose());
        }
    }

    /// <summary>Starts a conversation that keeps its history and the model's memory of it between turns.</summary>
    /// <param name="system">The system message, or null for the template's own.</param>
    /// <param name="options">How to generate; null for the model's defaults.</param>
    /// <returns>The conversation; the caller disposes it.</returns>
    /// <exception cref="ArgumentException">An option is out of range.</exception>
    /// <exception cref="ModelFormatException">The model has no tokenizer, or no known template.</exception>
    /// <exception cref="ObjectDisposedException">The model has been disposed.</exception>
    public ChatSession CreateChat(string? system = null, GenerationOptions? options = null) => new(this, system, options);

    /// <summary>Bytes of weights that a pass reads.</summary>
    internal long WeightBytesPerPass => _decoder.WeightBytesPerPass;

    /// <summary>Most tokens of a pass, all sequences together.</summary>
    internal int TokensPerPass => _decoder.ChunkTokens;

    /// <summary>Makes an empty batch, for sequences of this model's generators.</summary>
    internal SequenceBatch CreateBatch() => new(_decoder);

    /// <summary>Ends the threads and gives up the weights' memory. Calls under way on other threads fail with <see cref="ObjectDisposedException"/>.</summary>
    public void Dispose()
    {
        if (!_disposed)
        {
            _disposed = true;
            _decoder.Dispose();
            _weights.Dispose();
            _checkpoint.Dispose();
        }
    }

    /// <summary>Prepares the generation of one answer.</summary>
    /// <param name="generator">The sequence.</param>
    /// <param name="isTurn">Whether the answer is an assistant's turn in the model's template.</param>
    internal TextGeneration Prepare(Generator generator, bool isTurn)
    {
        HashSet<int> ends = [.. generator.Options.StopTokens ?? []];
        if (!generator.Options.IgnoreEndOfSequence)
        {
            ends.UnionWith(_endIds);
        }

        IReadOnlyList<string> stops = generator.Options.StopStrings ?? [];
        if (isTurn)
        {
            stops = generator.Options.StopStrings ?? PromptFormatter.StopStrings;
            foreach (string piece in PromptFormatter.StopPieces)
            {
                if (Tokenizer.TryGetId(piece, out int id))
                {
                    ends.Add(id);
                }
            }
        }

        if (isTurn && generator.Options.Constraint is not null)
        {
            // What ends a turn in the template may be a part of a text that has a form, and the form ends by itself.
            stops = [.. stops.Except(PromptFormatter.StopStrings)];
        }

        return new TextGeneration(generator, _checkpoint.Tokenizer, ends, stops, stripLeadingSpace: isTurn);
    }

    /// <summary>Checks a request: what is wrong is said by the call that makes it, not by the first piece of its answer.</summary>
    /// <returns>The options in force.</returns>
    internal GenerationOptions CheckRequest(Prompt prompt, GenerationOptions? options)
    {
        ArgumentNullException.ThrowIfNull(prompt);
        ObjectDisposedException.ThrowIf(_disposed, this);
        GenerationOptions merged = OptionsResolver.Merge(options, DefaultOptions);
        OptionsResolver.Resolve(merged, Config.VocabSize);
        LoraAdapter.Stack(options?.Adapters ?? [], _decoder, nameof(options));
        foreach (int token in prompt.Tokens ?? [])
        {
            OptionsResolver.CheckToken(token, Config.VocabSize, nameof(prompt));
        }

        if (prompt.Messages is { } messages)
        {
            PromptFormatter.Format(messages);
        }

        if (prompt.Tokens is null || merged.Constraint is not null)
        {
            _ = Tokenizer;
        }

        return merged;
    }

    private GenerationResult Run(Prompt prompt, GenerationOptions? options, Action<GenerationChunk> emit, CancellationToken cancellationToken)
    {
        using Generator generator = CreateGenerator(options);
        return Prepare(generator, prompt.Messages is not null).Run(Encode(prompt), emit, cancellationToken);
    }
}
