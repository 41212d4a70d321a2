namespace DesktopSample.ViewModels;

/// <summary>What is to be said of the model.</summary>
public enum ModelState
{
    /// <summary>None is loaded.</summary>
    None,

    /// <summary>One is being loaded.</summary>
    Loading,

    /// <summary>It answers.</summary>
    Ready,

    /// <summary>It could not be loaded, and none is.</summary>
    Failed,
}
