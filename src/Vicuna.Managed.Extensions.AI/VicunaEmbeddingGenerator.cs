using Microsoft.Extensions.AI;
using Vicuna.Managed.Extensions.AI.Translation;

namespace Vicuna.Managed.Extensions.AI;

/// <summary>
/// A local model as an <see cref="IEmbeddingGenerator{TInput, TEmbedding}"/>, over an <see cref="InferenceEngine"/>: the vector of a text is the mean of
/// the model's last, normalized hidden states over its tokens, of length 1. Texts go through the model as they are, without the template. Safe for
/// concurrent use; all compute is on the engine's thread. <c>GetService</c> gives <see cref="EmbeddingGeneratorMetadata"/>, this generator, the
/// <see cref="InferenceEngine"/>, its <see cref="LanguageModel"/> and, where the model has one, its <see cref="Tokenization.SentencePieceTokenizer"/>,
/// without a key.
/// </summary>
public sealed class VicunaEmbeddingGenerator : IEmbeddingGenerator<string, Embedding<float>>
{
    // Texts of one call that are in the engine together: enough to share passes over the weights, and no call fills the queue.
    private const int MaxTogether = 4;

    private readonly InferenceEngine _engine;
    private readonly EmbeddingGeneratorMetadata _metadata;
    private volatile bool _disposed;

    /// <summary>Makes a generator of an engine.</summary>
    /// <param name="engine">The engine. It is not disposed with the generator, and others may use it too.</param>
    /// <param name="modelId">The model's name, in results and in telemetry; null for the name of the model's folder or file.</param>
    /// <exception cref="ArgumentException">The name is empty.</exception>
    public VicunaEmbeddingGenerator(InferenceEngine engine, string? modelId = null)
    {
        ArgumentNullException.ThrowIfNull(engine);
        _engine = engine;
        _metadata = new EmbeddingGeneratorMetadata(
            ModelNames.Provider, defaultModelId: ModelNames.Of(engine.Model, modelId), defaultModelDimensions: engine.Model.Config.HiddenSize);
    }

    /// <summary>Turns texts into vectors.</summary>
    /// <param name="values">The texts. A few at a time are in the engine, whatever their number.</param>
    /// <param name="options">
    /// A model, which must be this one, and dimensions, which must be the model's: null for either is right. Nothing else is looked at.
    /// </param>
    /// <param name="cancellationToken">Cancels the work.</param>
    /// <returns>The vectors <c>[D]</c>, in the texts' order, and the tokens in all. Errors are those of <see cref="InferenceEngine.EmbedAsync"/>.</returns>
    /// <exception cref="ArgumentException">A text is null or has no tokens, or the options name another model.</exception>
    /// <exception cref="NotSupportedException">The options ask for other dimensions than the model's.</exception>
    /// <exception cref="ContextLengthExceededException">A text does not fit the context.</exception>
    /// <exception cref="EngineOverloadedException">The queue is full, or the engine is ending.</exception>
    /// <exception cref="ModelFormatException">The model has no tokenizer.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">The generator or its engine has been disposed.</exception>
    public async Task<GeneratedEmbeddings<Embedding<float>>> GenerateAsync(
        IEnumerable<string> values, EmbeddingGenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(values);
        ObjectDisposedException.ThrowIf(_disposed, this);
        ModelNames.Check(options?.ModelId, _metadata.DefaultModelId!);
        if (options?.Dimensions is { } dimensions && dimensions != _metadata.DefaultModelDimensions)
        {
            throw new NotSupportedException(
                $"Dimensions: expected none or {_metadata.DefaultModelDimensions}, those of the model's vectors, which cannot be cut, found {dimensions}.");
        }

        string[] texts = [.. values];
        int missing = Array.IndexOf(texts, null);
        if (missing >= 0)
        {
            throw new ArgumentException($"values[{missing}]: expected a text, found null.", nameof(values));
        }

        EmbeddingResult[] results = new EmbeddingResult[texts.Length];
        ParallelOptions together = new()
        {
            CancellationToken = cancellationToken,
            MaxDegreeOfParallelism = Math.Min(MaxTogether, _engine.Options.MaxConcurrentRequests),
        };
        await Parallel.ForAsync(0, texts.Length, together, EmbedAsync).ConfigureAwait(false);
        return Collect(results);

        async ValueTask EmbedAsync(int i, CancellationToken stop) => results[i] = await _engine.EmbedAsync(texts[i], null, stop).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public object? GetService(Type serviceType, object? serviceKey = null)
    {
        ArgumentNullException.ThrowIfNull(serviceType);
        if (serviceKey is not null)
        {
            return null;
        }

        object?[] services = [this, _metadata, _engine, _engine.Model, _engine.Model.HasTokenizer ? _engine.Model.Tokenizer : null];
        return Array.Find(services, serviceType.IsInstanceOfType);
    }

    /// <summary>Ends the generator; the engine goes on.</summary>
    public void Dispose() => _disposed = true;

    private GeneratedEmbeddings<Embedding<float>> Collect(EmbeddingResult[] results)
    {
        DateTimeOffset now = DateTimeOffset.UtcNow;
        long tokens = results.Sum(result => (long)result.PromptTokens);
        return new(results.Select(result => new Embedding<float>(result.Vector.ToArray()) { CreatedAt = now, ModelId = _metadata.DefaultModelId }))
        {
            Usage = new UsageDetails { InputTokenCount = tokens, TotalTokenCount = tokens },
        };
    }
}
