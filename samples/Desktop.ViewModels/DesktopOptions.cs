namespace DesktopSample.ViewModels;

/// <summary>What a host gives to the view models.</summary>
public sealed record DesktopOptions
{
    /// <summary>A folder of the user's, for conversations and settings; made when something is first saved.</summary>
    public required string UserFolder { get; init; }

    /// <summary>How models are loaded. Default: <see cref="ModelLoading.Load"/>.</summary>
    public ModelLoader Loader { get; init; } = ModelLoading.Load;

    /// <summary>The clock. Default: the system's.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;
}
