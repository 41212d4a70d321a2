using CommunityToolkit.Mvvm.ComponentModel;
using Vicuna.Managed;

namespace DesktopSample.ViewModels;

/// <summary>Memory in use, measured once a second, not on the user interface's thread.</summary>
public sealed partial class MemoryViewModel : ObservableObject, IDisposable
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(1);

    private readonly ITimer _timer;
    private bool _disposed;

    internal MemoryViewModel(SynchronizationContext ui, TimeProvider time, Func<InferenceEngine?> engine) =>
        _timer = time.CreateTimer(
            _ =>
            {
                long process = Environment.WorkingSet;
                EngineStatus? status = engine()?.GetStatus();
                ui.Post(_ => Show(process, status), null);
            },
            null,
            TimeSpan.Zero,
            Period);

    /// <summary>Physical memory of the process, mapped weights that have been read included, in bytes.</summary>
    [ObservableProperty]
    [NotifyPropertyChangedFor(nameof(Text), nameof(ShortText))]
    public partial long ProcessBytes { get; private set; }

    /// <summary>Memory of keys and values, of running answers and of what is kept of earlier ones, in bytes.</summary>
    [ObservableProperty]
    [NotifyPropertyChangedFor(nameof(Text))]
    public partial long KeyValueBytes { get; private set; }

    /// <summary>The most that keys and values may take, in bytes; 0 without a model.</summary>
    [ObservableProperty]
    public partial long KeyValueCapacityBytes { get; private set; }

    /// <summary>It in words.</summary>
    public string Text => $"{Wording.Bytes(ProcessBytes)}, {Wording.Bytes(KeyValueBytes)} of them for conversations";

    /// <summary>The process's in a few words.</summary>
    public string ShortText => $"uses {Wording.Bytes(ProcessBytes)}";

    /// <summary>Stops measuring.</summary>
    public void Dispose()
    {
        _disposed = true;
        _timer.Dispose();
    }

    private void Show(long process, EngineStatus? status)
    {
        if (_disposed)
        {
            return;
        }

        ProcessBytes = process;
        KeyValueBytes = status is null ? 0 : status.KeyValueBytesActive + status.KeyValueBytesCached;
        KeyValueCapacityBytes = status?.KeyValueBytesCapacity ?? 0;
    }
}
