namespace Vicuna.Managed;

/// <summary>What an engine is doing at one moment.</summary>
/// <param name="ActiveRequests">Requests that are being worked on.</param>
/// <param name="QueuedRequests">Requests that wait for their turn.</param>
/// <param name="KeyValueBytesActive">Memory of keys and values that running requests hold, or may still need, for themselves alone, in bytes.</param>
/// <param name="KeyValueBytesCached">
/// Memory of keys and values that is there to be shared, in bytes: what running requests have in common, and what is kept of earlier ones, which is given
/// up when it is needed.
/// </param>
/// <param name="KeyValueBytesCapacity">The most that the two may be together, in bytes.</param>
/// <param name="IsDraining">Whether the engine takes no new requests.</param>
/// <param name="IsHealthy">Whether the engine's loop runs; false after an error in it, which ends all requests.</param>
/// <param name="LastPass">How long ago the loop last gave a sign of life; zero where it is idle.</param>
public sealed record EngineStatus(
    int ActiveRequests,
    int QueuedRequests,
    long KeyValueBytesActive,
    long KeyValueBytesCached,
    long KeyValueBytesCapacity,
    bool IsDraining,
    bool IsHealthy,
    TimeSpan LastPass)
{
    /// <summary>Requests that were accepted, since the engine's start.</summary>
    public long TotalRequests { get; init; }

    /// <summary>Requests that were refused because of load, since the engine's start.</summary>
    public long TotalRejected { get; init; }

    /// <summary>Requests that their callers cancelled, since the engine's start.</summary>
    public long TotalCancelled { get; init; }

    /// <summary>Requests that failed, since the engine's start.</summary>
    public long TotalFailed { get; init; }

    /// <summary>Prompt tokens that were computed, since the engine's start.</summary>
    public long TotalPromptTokens { get; init; }

    /// <summary>Prompt tokens that were found in memory and not computed, since the engine's start.</summary>
    public long TotalCachedTokens { get; init; }

    /// <summary>Tokens that were generated, since the engine's start.</summary>
    public long TotalGeneratedTokens { get; init; }

    /// <summary>Time that passes with prompts took, since the engine's start.</summary>
    public TimeSpan TotalPrefillTime { get; init; }

    /// <summary>Time that passes with nothing but answers took, since the engine's start.</summary>
    public TimeSpan TotalDecodeTime { get; init; }

    /// <summary>Tokens that passes with nothing but answers gave, since the engine's start.</summary>
    public long TotalDecodeTokens { get; init; }
}
