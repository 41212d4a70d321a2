using Vicuna.Managed;

namespace DesktopSample.ViewModels;

/// <summary>Hears the loading thread, and keeps the newest of what it said.</summary>
internal sealed class LoadingProgress : IProgress<LoadProgress>
{
    private readonly Lock _gate = new();
    private LoadProgress _latest;

    /// <summary>Called when there is news.</summary>
    public Action? Changed { get; set; }

    public void Report(LoadProgress value)
    {
        lock (_gate)
        {
            _latest = value;
        }

        Changed?.Invoke();
    }

    /// <summary>What was said last.</summary>
    public LoadProgress Take()
    {
        lock (_gate)
        {
            return _latest;
        }
    }
}
