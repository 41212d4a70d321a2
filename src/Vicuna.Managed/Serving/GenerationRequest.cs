using System.Threading.Channels;
using Vicuna.Managed.Generation;

namespace Vicuna.Managed.Serving;

/// <summary>A request for an answer.</summary>
internal sealed class GenerationRequest : ServedRequest
{
    private readonly Channel<GenerationChunk> _pieces =
        Channel.CreateUnbounded<GenerationChunk>(new UnboundedChannelOptions { SingleReader = true, SingleWriter = true });

    private readonly TaskCompletionSource _started = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource<GenerationResult> _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Func<TextGeneration> _create;
    private readonly Action<IReadOnlyList<int>>? _keepTokens;
    private readonly Action<GenerationChunk> _emit;
    private TextGeneration? _answer;
    private GenerationChunk? _last;

    /// <summary>Makes a request.</summary>
    /// <param name="prompt">The prompt's tokens.</param>
    /// <param name="priority">Which of the waiting requests is next.</param>
    /// <param name="key">What decides, beside its tokens, what is computed.</param>
    /// <param name="telemetry">What is told of it.</param>
    /// <param name="maxPositions">Most tokens that it will run through the model.</param>
    /// <param name="keepTokens">Receives the tokens of prompt and answer at the end; may be null.</param>
    /// <param name="create">Makes the empty sequence with its way of choosing tokens, when the request's turn has come.</param>
    /// <param name="cancellationToken">The caller's.</param>
    public GenerationRequest(
        IReadOnlyList<int> prompt,
        RequestPriority priority,
        PrefixKey key,
        RequestTelemetry telemetry,
        int maxPositions,
        Action<IReadOnlyList<int>>? keepTokens,
        Func<TextGeneration> create,
        CancellationToken cancellationToken)
        : base(prompt, priority, key, telemetry, cancellationToken)
    {
        MaxPositions = maxPositions;
        _keepTokens = keepTokens;
        _create = create;
        _emit = piece => _pieces.Writer.TryWrite(piece);
    }

    /// <inheritdoc/>
    public override int MaxPositions { get; }

    /// <inheritdoc/>
    public override bool UsesPrefixCache => true;

    /// <inheritdoc/>
    public override bool HasBegun => _answer is not null;

    /// <inheritdoc/>
    public override int NewTokens => _answer?.Tokens ?? 0;

    /// <inheritdoc/>
    public override Sequence Sequence => _answer!.Generator.Sequence;

    /// <summary>The answer, piece by piece. For any thread.</summary>
    public ChannelReader<GenerationChunk> Pieces => _pieces.Reader;

    /// <summary>Ends with the first token. For any thread.</summary>
    public Task Started => _started.Task;

    /// <summary>Ends with the answer. For any thread.</summary>
    public Task<GenerationResult> Completion => _completion.Task;

    /// <inheritdoc/>
    public override void Begin(PrefixMatch match)
    {
        TextGeneration answer = _create();
        try
        {
            answer.Begin(PromptIds);
            answer.Generator.Sequence.Cache.ShareFrom(match.Pages, match.Positions);
            answer.QueueTime = Telemetry.Begin();
            _answer = answer;
        }
        catch
        {
            answer.Generator.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public override void AddCached(int tokens)
    {
        _answer!.CachedPromptTokens += tokens;
        Telemetry.AddCached(tokens);
    }

    /// <inheritdoc/>
    public override bool Advance()
    {
        bool isFirst = IsPrefilling;
        IsPrefilling = false;
        if (isFirst)
        {
            Telemetry.EndPrompt();
        }

        int before = NewTokens;
        bool goesOn = _answer!.TakeToken(_emit, CancellationToken.None);
        Telemetry.AddToken(isOfAnswer: NewTokens > before);
        if (isFirst)
        {
            _started.TrySetResult();
        }

        return goesOn;
    }

    /// <inheritdoc/>
    public override bool Finish(bool isEarly)
    {
        if (isEarly && _answer is not { Tokens: > 0 })
        {
            return false;
        }

        _ = isEarly ? _answer!.Finish(last => _last = last, FinishReason.TimeLimit) : _answer!.Finish(last => _last = last);
        _keepTokens?.Invoke([.. Sequence.Tokens]);
        return true;
    }

    /// <inheritdoc/>
    public override void Announce()
    {
        GenerationResult result = _last!.Result!;
        Telemetry.Complete(result.FinishReason);
        _pieces.Writer.TryWrite(_last);
        _pieces.Writer.TryComplete();
        _started.TrySetResult();
        _completion.TrySetResult(result);
    }

    /// <inheritdoc/>
    public override void Fail(Exception exception)
    {
        Telemetry.Fail(exception);
        _pieces.Writer.TryComplete(exception);
        if (exception is OperationCanceledException cancelled)
        {
            _started.TrySetCanceled(cancelled.CancellationToken);
            _completion.TrySetCanceled(cancelled.CancellationToken);
            return;
        }

        _started.TrySetException(exception);
        _completion.TrySetException(exception);
        // Who reads the pieces meets the error there, and need not look at the tasks as well.
        _ = _started.Task.Exception;
        _ = _completion.Task.Exception;
    }

    /// <inheritdoc/>
    public override void Free() => _answer?.Generator.Dispose();
}
