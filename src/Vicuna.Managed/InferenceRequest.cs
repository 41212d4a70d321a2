using System.Runtime.CompilerServices;
using Vicuna.Managed.Serving;

namespace Vicuna.Managed;

/// <summary>
/// A request that an <see cref="InferenceEngine"/> has accepted. It goes on whether or not somebody reads; disposing it, or leaving the loop of
/// <see cref="ReadAsync"/> early, cancels what is left of it. Safe for concurrent use, but for one reader.
/// </summary>
public sealed class InferenceRequest : IAsyncDisposable
{
    private readonly Scheduler _scheduler;
    private readonly GenerationRequest _request;
    private int _isRead;

    internal InferenceRequest(Scheduler scheduler, GenerationRequest request) => (_scheduler, _request) = (scheduler, request);

    /// <summary>Tokens of the prompt.</summary>
    public int PromptTokens => _request.PromptIds.Count;

    /// <summary>
    /// Ends when the request's turn has come and its first token is known, or with the error that prevented that: until then nothing has been
    /// answered, and a server can still answer with a status.
    /// </summary>
    public Task Started => _request.Started;

    /// <summary>Ends with the whole answer, or with its error or cancellation.</summary>
    public Task<GenerationResult> Completion => _request.Completion;

    /// <summary>The answer, piece by piece, the last piece with the result. Once.</summary>
    /// <param name="cancellationToken">Cancels the request.</param>
    /// <returns>The pieces.</returns>
    /// <exception cref="InvalidOperationException">It has been called before.</exception>
    /// <exception cref="EngineOverloadedException">The request waited too long for its turn.</exception>
    /// <exception cref="TimeoutException">The request's time limit came before its first token.</exception>
    /// <exception cref="NonFiniteLogitsException">The model's output is not a number.</exception>
    /// <exception cref="OperationCanceledException">The request was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">The engine was disposed.</exception>
    public IAsyncEnumerable<GenerationChunk> ReadAsync(CancellationToken cancellationToken = default)
    {
        if (Interlocked.Exchange(ref _isRead, 1) == 1)
        {
            throw new InvalidOperationException("The request is being read already, or has been: its pieces are there once.");
        }

        return Read(cancellationToken);
    }

    /// <summary>Cancels what is left of the request; its place is free as soon as the pass under way allows.</summary>
    public void Cancel() => _scheduler.Stop(_request, StopCause.Cancelled);

    /// <summary>Cancels what is left of the request and waits until it holds nothing any more.</summary>
    /// <returns>The task.</returns>
    public ValueTask DisposeAsync()
    {
        Cancel();
        return new ValueTask(_request.Released);
    }

    private async IAsyncEnumerable<GenerationChunk> Read([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        try
        {
            // Pieces come in order and the error, if there is one, comes last: what was generated before a cancellation is not handed out after it.
            while (await _request.Pieces.WaitToReadAsync(cancellationToken).ConfigureAwait(false))
            {
                while (_request.Pieces.TryRead(out GenerationChunk? piece))
                {
                    yield return piece;
                    cancellationToken.ThrowIfCancellationRequested();
                }
            }
        }
        finally
        {
            await DisposeAsync().ConfigureAwait(false);
        }
    }
}
