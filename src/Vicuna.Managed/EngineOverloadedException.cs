namespace Vicuna.Managed;

/// <summary>An engine refuses a request for now; it may be tried again later, or elsewhere.</summary>
/// <param name="reason">Why.</param>
/// <param name="message">The message, with numbers.</param>
/// <param name="retryAfter">After which time another attempt is sensible.</param>
public sealed class EngineOverloadedException(OverloadReason reason, string message, TimeSpan retryAfter) : Exception(message)
{
    /// <summary>Why.</summary>
    public OverloadReason Reason { get; } = reason;

    /// <summary>After which time another attempt is sensible; at least a second.</summary>
    public TimeSpan RetryAfter { get; } = retryAfter;
}
