using System.Runtime.CompilerServices;
using Vicuna.Managed.Generation;
using Vicuna.Managed.Kernels.Ops;
using Vicuna.Managed.Models;
using Vicuna.Managed.Serving;

namespace Vicuna.Managed;

/// <summary>
/// Serves many requests at a time with one model: answers that run at a time share the passes over the weights, prompts are computed in chunks between
/// them, requests beyond the limits wait in a bounded queue or are refused, and what requests have in common is computed once. An answer is bit for bit the
/// one that the request would get alone. One engine per loaded model. Safe for concurrent use; all compute is on a thread of its own.
/// </summary>
public sealed class InferenceEngine : IAsyncDisposable, IDisposable
{
    /// <summary>
    /// Name of the engine's meter and of the source of its activities, to be given to whoever collects them. Nothing leaves the process by itself.
    /// </summary>
    public const string MeterName = EngineMeters.Name;

    // Half of the largest pass: prompts go on whoever else is answering.
    private const int MostConcurrentRequests = 256;
    private const int MostQueuedRequests = 1_000_000;

    private readonly Scheduler _scheduler;
    private readonly EngineMeters _meters;
    private readonly Decoder _decoder;
    private readonly long _pageBytes;

    /// <summary>Starts the engine.</summary>
    /// <param name="model">The model. It is not disposed with the engine, and must be disposed after it.</param>
    /// <param name="options">Limits; null for the defaults.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of range; the message names it.</exception>
    /// <exception cref="ObjectDisposedException">The model has been disposed.</exception>
    public InferenceEngine(LanguageModel model, EngineOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        options ??= new EngineOptions();
        Check(options.MaxConcurrentRequests, 1, MostConcurrentRequests, nameof(options.MaxConcurrentRequests));
        Check(options.MaxQueuedRequests ?? 0, 0, MostQueuedRequests, nameof(options.MaxQueuedRequests));
        Check(options.PrefillChunkTokens, 16, 512, nameof(options.PrefillChunkTokens));
        CheckTime(options.QueueTimeout, nameof(options.QueueTimeout), nameof(options));

        _decoder = model.Decoder;
        _pageBytes = _decoder.CacheShape.PageBytes;
        int pages = PagesFor(model, options);
        Model = model;
        Options = options with { MaxQueuedRequests = options.MaxQueuedRequests ?? 2 * options.MaxConcurrentRequests, KeyValueMemoryBytes = pages * _pageBytes };
        ContextLength = (int)Math.Min(model.ContextLength, pages * (long)KvShape.PagePositions);
        _scheduler = new Scheduler(this, _decoder, Options, pages);
        string name = Path.GetFileName(Path.TrimEndingDirectorySeparator(model.Info.Path));
        _meters = new EngineMeters(options.MeterFactory, name, GetStatus);
    }

    /// <summary>The model.</summary>
    public LanguageModel Model { get; }

    /// <summary>The limits in force: the caller's, with numbers in the place of defaults that depend on the model.</summary>
    public EngineOptions Options { get; }

    /// <summary>Most tokens of a sequence: the model's, or what the memory for keys and values holds if that is less.</summary>
    public int ContextLength { get; }

    /// <summary>What the engine is doing.</summary>
    /// <returns>Numbers of one moment.</returns>
    public EngineStatus GetStatus() => _scheduler.Status(_pageBytes);

    /// <summary>
    /// Checks a request, turns its prompt into tokens and puts it into the queue; when this returns, the request is accepted. What is wrong with the
    /// request, and that the engine is overloaded, is said by this call.
    /// </summary>
    /// <param name="prompt">Text to continue, ids, or a conversation to answer.</param>
    /// <param name="options">How to generate; null for the model's defaults.</param>
    /// <param name="request">How to treat the request; null for the defaults.</param>
    /// <param name="cancellationToken">Cancels the request, in the queue, in its prompt and between its tokens.</param>
    /// <returns>The request.</returns>
    /// <exception cref="ArgumentException">An option or the prompt is wrong.</exception>
    /// <exception cref="ContextLengthExceededException">The prompt does not fit <see cref="ContextLength"/>.</exception>
    /// <exception cref="EngineOverloadedException">The queue is full, or the engine is ending.</exception>
    /// <exception cref="ModelFormatException">The prompt is not ids and the model has no tokenizer, or no known template.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">The engine has been disposed.</exception>
    public async Task<InferenceRequest> SubmitAsync(
        Prompt prompt, GenerationOptions? options = null, RequestOptions? request = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(prompt);
        request ??= new RequestOptions();
        CheckRequest(request);
        cancellationToken.ThrowIfCancellationRequested();
        _scheduler.CheckRoom();
        GenerationRequest served = await PoolThread.Run(() => Prepare(prompt, options, request, cancellationToken)).ConfigureAwait(false);
        Enqueue(served, request, cancellationToken);
        return new InferenceRequest(_scheduler, served);
    }

    /// <summary>Generates an answer, piece by piece. Leaving the loop early cancels the request.</summary>
    /// <param name="prompt">Text to continue, ids, or a conversation to answer.</param>
    /// <param name="options">How to generate; null for the model's defaults.</param>
    /// <param name="request">How to treat the request; null for the defaults.</param>
    /// <param name="cancellationToken">Cancels the request.</param>
    /// <returns>The pieces; the last one carries the whole answer, its finish reason and timings. Errors are those of <see cref="SubmitAsync"/> and <see cref="InferenceRequest.ReadAsync"/>.</returns>
    public async IAsyncEnumerable<GenerationChunk> StreamAsync(
        Prompt prompt, GenerationOptions? options = null, RequestOptions? request = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        InferenceRequest accepted = await SubmitAsync(prompt, options, request, cancellationToken).ConfigureAwait(false);
        await using (accepted.ConfigureAwait(false))
        {
            await foreach (GenerationChunk piece in accepted.ReadAsync(CancellationToken.None).ConfigureAwait(false))
            {
                yield return piece;
            }
        }
    }

    /// <summary>Generates an answer.</summary>
    /// <param name="prompt">Text to continue, ids, or a conversation to answer.</param>
    /// <param name="options">How to generate; null for the model's defaults.</param>
    /// <param name="request">How to treat the request; null for the defaults.</param>
    /// <param name="cancellationToken">Cancels the request.</param>
    /// <returns>The answer. Errors are those of <see cref="SubmitAsync"/> and <see cref="InferenceRequest.ReadAsync"/>.</returns>
    public async Task<GenerationResult> GenerateAsync(
        Prompt prompt, GenerationOptions? options = null, RequestOptions? request = null, CancellationToken cancellationToken = default)
    {
        InferenceRequest accepted = await SubmitAsync(prompt, options, request, cancellationToken).ConfigureAwait(false);
        return await accepted.Completion.ConfigureAwait(false);
    }

    /// <summary>Turns a text into a vector: one request like any other, whose prompt is computed and whose answer is empty.</summary>
    /// <param name="prompt">The text, or ids.</param>
    /// <param name="request">How to treat the request; null for the defaults.</param>
    /// <param name="cancellationToken">Cancels the request.</param>
    /// <returns>The vector. Errors are those of <see cref="SubmitAsync"/> and <see cref="InferenceRequest.ReadAsync"/>.</returns>
    public async Task<EmbeddingResult> EmbedAsync(Prompt prompt, RequestOptions? request = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(prompt);
        request ??= new RequestOptions();
        CheckRequest(request);
        cancellationToken.ThrowIfCancellationRequested();
        _scheduler.CheckRoom();
        EmbeddingRequest served = await PoolThread.Run(() => PrepareEmbedding(prompt, request, cancellationToken)).ConfigureAwait(false);
        Enqueue(served, request, cancellationToken);
        return await served.Completion.ConfigureAwait(false);
    }

    /// <summary>Begins a conversation that can be saved.</summary>
    /// <returns>The session, for <see cref="RequestOptions.Session"/>.</returns>
    public InferenceSession CreateSession() => new(this, isRestored: false);

    /// <summary>Reads a session that <see cref="InferenceSession.SaveAsync"/> wrote, and takes the model's memory of it into the engine's, as far as there is room.</summary>
    /// <param name="source">The bytes.</param>
    /// <param name="cancellationToken">Stops before the reading begins.</param>
    /// <returns>The session.</returns>
    /// <exception cref="ModelFormatException">The data is damaged, cut short, of another model, or of another <see cref="KeyValueType"/>.</exception>
    /// <exception cref="ContextLengthExceededException">The session is longer than <see cref="ContextLength"/>.</exception>
    /// <exception cref="ObjectDisposedException">The engine has been disposed.</exception>
    public Task<InferenceSession> RestoreSessionAsync(Stream source, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(source);
        InferenceSession session = new(this, isRestored: true);
        return ComputeThread.Run(
            () =>
            {
                session.Tokens = SessionStore.Restore(_scheduler, _decoder, ContextLength, new PrefixKey(null, session), source);
                return session;
            },
            cancellationToken);
    }

    /// <summary>Takes no further requests, and waits until those that it has accepted, waiting ones included, have ended.</summary>
    /// <param name="cancellationToken">Stops the waiting, not the draining: dispose the engine to cancel what is left.</param>
    /// <returns>The task.</returns>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public Task DrainAsync(CancellationToken cancellationToken = default) => _scheduler.Drain().WaitAsync(cancellationToken);

    /// <summary>Ends all requests with an <see cref="ObjectDisposedException"/>, waits for the pass under way to stop and frees the memory.</summary>
    public void Dispose()
    {
        _scheduler.Dispose();
        _meters.Dispose();
    }

    /// <summary>Ends all requests with an <see cref="ObjectDisposedException"/>, waits for the pass under way to stop and frees the memory.</summary>
    /// <returns>The task.</returns>
    public async ValueTask DisposeAsync()
    {
        await _scheduler.EndAsync().ConfigureAwait(false);
        _meters.Dispose();
    }

    /// <summary>Writes a session.</summary>
    internal Task SaveAsync(InferenceSession session, Stream destination, CancellationToken cancellationToken)
    {
        IReadOnlyList<int> tokens = session.Tokens;
        return tokens.Count > 0
            ? ComputeThread.Run(() => SessionStore.Save(_scheduler, _decoder, tokens, new PrefixKey(null, session.PageSource), destination), cancellationToken)
            : throw new InvalidOperationException("No request of the session has ended yet: there is nothing to save.");
    }

    private static int PagesFor(LanguageModel model, EngineOptions options)
    {
        long page = model.Decoder.CacheShape.PageBytes;
        long sequence = PageLedger.PagesOf(model.ContextLength);
        long pages = options.KeyValueMemoryBytes is long bytes
            ? bytes / page
            : Math.Max(sequence, Math.Min(sequence * options.MaxConcurrentRequests, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 4 / page));
        return pages >= 2
            ? (int)Math.Min(pages, int.MaxValue / KvShape.PagePositions)
            : throw new ArgumentOutOfRangeException(
                nameof(options), options.KeyValueMemoryBytes, $"KeyValueMemoryBytes: expected at least {2 * page}, two pages of {KvShape.PagePositions} tokens, found {options.KeyValueMemoryBytes}.");
    }

    private static void Check(int value, int least, int most, string name)
    {
        if (value < least || value > most)
        {
            throw new ArgumentOutOfRangeException(name, value, $"{name}: expected {least} to {most}, found {value}.");
        }
    }

    private static void CheckTime(TimeSpan? time, string name, string parameter)
    {
        if (time is { } limit && (limit <= TimeSpan.Zero || limit.TotalMilliseconds > int.MaxValue))
        {
            throw new ArgumentOutOfRangeException(parameter, limit, $"{name}: expected more than no time and at most 24 days, found {limit}.");
        }
    }

    private void CheckRequest(RequestOptions request)
    {
        if (!Enum.IsDefined(request.Priority))
        {
            throw new ArgumentOutOfRangeException(nameof(request), request.Priority, $"Priority: expected a priority, found {request.Priority}.");
        }

        CheckTime(request.TimeLimit, nameof(request.TimeLimit), nameof(request));

        if (request.Session is { } session && !session.BelongsTo(this))
        {
            throw new ArgumentException("Session: expected one of this engine, found another engine's.", nameof(request));
        }
    }

    private GenerationRequest Prepare(Prompt prompt, GenerationOptions? options, RequestOptions request, CancellationToken cancellationToken)
    {
        GenerationOptions merged = Model.CheckRequest(prompt, options);
        // Here, where nobody waits for it: what is prepared for the vocabulary is found again on the engine's thread.
        _ = merged.Constraint?.Grammar.For(Model.Tokenizer);
        IReadOnlyList<int> ids = Encode(prompt);
        long wanted = ids.Count + (long)(merged.MaxNewTokens ?? OptionsResolver.DefaultMaxNewTokens);
        int positions = (int)Math.Min(wanted, ContextLength);
        string operation = request.OperationName ?? (prompt.Messages is null ? "text_completion" : "chat");
        return new GenerationRequest(
            ids,
            request.Priority,
            new PrefixKey(LoraAdapter.Stack(merged.Adapters ?? [], _decoder, nameof(options)), request.Session?.PageSource),
            new RequestTelemetry(_meters, operation, merged, ids.Count),
            positions,
            request.Session is { } session ? tokens => session.Tokens = tokens : null,
            () => Model.Prepare(Model.CreateGenerator(options, ContextLength), prompt.Messages is not null),
            cancellationToken);
    }

    private EmbeddingRequest PrepareEmbedding(Prompt prompt, RequestOptions request, CancellationToken cancellationToken)
    {
        Model.CheckRequest(prompt, null);
        IReadOnlyList<int> ids = Encode(prompt);
        RequestTelemetry telemetry = new(_meters, request.OperationName ?? "embeddings", null, ids.Count);
        return new EmbeddingRequest(ids, request.Priority, telemetry, _decoder, cancellationToken);
    }

    private IReadOnlyList<int> Encode(Prompt prompt)
    {
        IReadOnlyList<int> ids = Model.Encode(prompt);
        return ids.Count < ContextLength ? ids : throw new ContextLengthExceededException(ids.Count, ContextLength);
    }

    // What can end a request early is armed before it can end: its end disarms it.
    private void Enqueue(ServedRequest served, RequestOptions request, CancellationToken cancellationToken)
    {
        Arm(served, request.TimeLimit, StopCause.TimeLimit);
        Arm(served, Options.QueueTimeout, StopCause.QueueTimeout);
        try
        {
            _scheduler.Enqueue(served);
        }
        catch (Exception exception)
        {
            served.Fail(exception);
            served.Release();
            throw;
        }

        served.Own(cancellationToken.UnsafeRegister(_ => _scheduler.Stop(served, StopCause.Cancelled), null));
    }

    private void Arm(ServedRequest served, TimeSpan? time, StopCause cause)
    {
        if (time is { } limit)
        {
            served.Own(new Timer(_ => _scheduler.Stop(served, cause), null, limit, Timeout.InfiniteTimeSpan));
        }
    }
}
