namespace Vicuna.Managed.Serving;

/// <summary>Where a request is on its way.</summary>
internal enum RequestState
{
    /// <summary>It waits for its turn.</summary>
    Queued,

    /// <summary>It has a place and takes part in the passes.</summary>
    Running,

    /// <summary>It holds nothing any more.</summary>
    Ended,
}
