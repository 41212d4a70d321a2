namespace Vicuna.Managed;

/// <summary>Why an engine takes no request now.</summary>
public enum OverloadReason
{
    /// <summary>As many requests wait as may.</summary>
    QueueFull,

    /// <summary>The request has waited as long as it may.</summary>
    QueueTimeout,

    /// <summary>The engine is ending: it finishes what it has begun and takes nothing new.</summary>
    Draining,
}
