namespace Vicuna.Managed.Serving;

/// <summary>Why a request ends before its answer does.</summary>
internal enum StopCause
{
    /// <summary>It does not.</summary>
    None,

    /// <summary>Its caller has cancelled it.</summary>
    Cancelled,

    /// <summary>Its time limit has come.</summary>
    TimeLimit,

    /// <summary>It has waited as long as it may.</summary>
    QueueTimeout,
}
