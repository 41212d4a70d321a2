using Vicuna.Managed.Generation;
using Vicuna.Managed.Models;

namespace Vicuna.Managed.Serving;

/// <summary>A request for a text's vector: its prompt is run like any other, its answer is what the passes show of it.</summary>
internal sealed class EmbeddingRequest : ServedRequest
{
    private readonly TaskCompletionSource<EmbeddingResult> _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Decoder _decoder;
    private Sequence? _sequence;
    private EmbeddingResult? _result;

    /// <summary>Makes a request.</summary>
    /// <param name="prompt">The prompt's tokens.</param>
    /// <param name="priority">Which of the waiting requests is next.</param>
    /// <param name="telemetry">What is told of it.</param>
    /// <param name="decoder">The model.</param>
    /// <param name="cancellationToken">The caller's.</param>
    public EmbeddingRequest(
        IReadOnlyList<int> prompt, RequestPriority priority, RequestTelemetry telemetry, Decoder decoder, CancellationToken cancellationToken)
        : base(prompt, priority, default, telemetry, cancellationToken) => _decoder = decoder;

    /// <inheritdoc/>
    public override int MaxPositions => PromptIds.Count;

    /// <inheritdoc/>
    /// <remarks>What is known of a prompt is its keys and values, not the outputs that are averaged.</remarks>
    public override bool UsesPrefixCache => false;

    /// <inheritdoc/>
    public override bool HasBegun => _sequence is not null;

    /// <inheritdoc/>
    public override int NewTokens => 0;

    /// <inheritdoc/>
    public override Sequence Sequence => _sequence!;

    /// <summary>Ends with the vector. For any thread.</summary>
    public Task<EmbeddingResult> Completion => _completion.Task;

    /// <inheritdoc/>
    public override void Begin(PrefixMatch match)
    {
        Sequence sequence = new(_decoder, PromptIds.Count, this) { Pool = new HiddenMean(_decoder.Config.HiddenSize) };
        sequence.AppendPending([.. PromptIds]);
        Telemetry.Begin();
        _sequence = sequence;
    }

    /// <inheritdoc/>
    public override void AddCached(int tokens) => Telemetry.AddCached(tokens);

    /// <inheritdoc/>
    public override bool Advance()
    {
        IsPrefilling = false;
        return false;
    }

    /// <inheritdoc/>
    public override bool Finish(bool isEarly)
    {
        if (!isEarly)
        {
            _result = new EmbeddingResult(_sequence!.Pool!.Normalized(), PromptIds.Count);
        }

        return !isEarly;
    }

    /// <inheritdoc/>
    public override void Announce()
    {
        Telemetry.EndPrompt();
        Telemetry.Complete(null);
        _completion.TrySetResult(_result!);
    }

    /// <inheritdoc/>
    public override void Fail(Exception exception)
    {
        Telemetry.Fail(exception);
        _ = exception is OperationCanceledException cancelled ? _completion.TrySetCanceled(cancelled.CancellationToken) : _completion.TrySetException(exception);
    }

    /// <inheritdoc/>
    public override void Free() => _sequence?.Guard.Close();
}
