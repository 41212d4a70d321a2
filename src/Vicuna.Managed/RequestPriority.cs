namespace Vicuna.Managed;

/// <summary>Which of the waiting requests is next. Within one priority, first come, first served.</summary>
public enum RequestPriority
{
    /// <summary>After all others.</summary>
    Low,

    /// <summary>The ordinary one.</summary>
    Normal,

    /// <summary>Before all others.</summary>
    High,
}
