namespace Vicuna.Managed.Serving;

/// <summary>What has happened since the engine's start. Guarded by the scheduler's lock.</summary>
internal sealed class SchedulerCounts
{
    private long _requests;
    private long _rejected;
    private long _cancelled;
    private long _failed;
    private long _promptTokens;
    private long _cachedTokens;
    private long _generatedTokens;
    private long _decodeTokens;
    private TimeSpan _prefillTime;
    private TimeSpan _decodeTime;

    /// <summary>A request was accepted.</summary>
    public void AddRequest() => _requests++;

    /// <summary>A request was refused.</summary>
    public void AddRejected() => _rejected++;

    /// <summary>A request that was accepted has ended without an answer.</summary>
    public void AddFailed(Exception exception)
    {
        switch (exception)
        {
            case OperationCanceledException:
                _cancelled++;
                break;
            case EngineOverloadedException:
                _rejected++;
                break;
            default:
                _failed++;
                break;
        }
    }

    /// <summary>A request begins, of whose prompt some is known.</summary>
    public void AddCached(int tokens) => _cachedTokens += tokens;

    /// <summary>Tokens were generated.</summary>
    public void AddGenerated(int tokens) => _generatedTokens += tokens;

    /// <summary>A pass has been run.</summary>
    /// <param name="promptTokens">Its tokens of prompts.</param>
    /// <param name="singleTokens">Its tokens of answers.</param>
    /// <param name="time">How long it took.</param>
    public void AddPass(int promptTokens, int singleTokens, TimeSpan time)
    {
        if (promptTokens > 0)
        {
            _promptTokens += promptTokens;
            _prefillTime += time;
        }
        else
        {
            _decodeTokens += singleTokens;
            _decodeTime += time;
        }
    }

    /// <summary>The numbers so far; what is of the moment is not among them.</summary>
    public EngineStatus Snapshot() => new(0, 0, 0, 0, 0, false, true, TimeSpan.Zero)
    {
        TotalRequests = _requests,
        TotalRejected = _rejected,
        TotalCancelled = _cancelled,
        TotalFailed = _failed,
        TotalPromptTokens = _promptTokens,
        TotalCachedTokens = _cachedTokens,
        TotalGeneratedTokens = _generatedTokens,
        TotalPrefillTime = _prefillTime,
        TotalDecodeTime = _decodeTime,
        TotalDecodeTokens = _decodeTokens,
    };
}
