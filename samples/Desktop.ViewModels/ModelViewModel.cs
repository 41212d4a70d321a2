using CommunityToolkit.Mvvm.ComponentModel;
using CommunityToolkit.Mvvm.Input;
using Vicuna.Managed;

namespace DesktopSample.ViewModels;

/// <summary>
/// The model: chosen, loaded with progress, replaced, unloaded. A model is looked at before the one in use is given up, so a wrong path costs nothing; but it
/// is loaded after that, since few machines have the memory for two.
/// </summary>
public sealed partial class ModelViewModel : ObservableObject
{
    private readonly SynchronizationContext _ui;
    private readonly TimeProvider _time;
    private readonly ModelLoader _loader;
    private readonly SettingsViewModel _settings;
    private CancellationTokenSource? _loading;
    private volatile InferenceEngine? _engine;

    internal ModelViewModel(SynchronizationContext ui, DesktopOptions options, SettingsViewModel settings) =>
        (_ui, _time, _loader, _settings) = (ui, options.Time, options.Loader, settings);

    /// <summary>What is to be said of the model.</summary>
    [ObservableProperty]
    [NotifyPropertyChangedFor(nameof(IsReady), nameof(IsLoading), nameof(StatusText))]
    [NotifyCanExecuteChangedFor(nameof(LoadCommand), nameof(CancelLoadCommand), nameof(UnloadCommand))]
    public partial ModelState State { get; private set; }

    /// <summary>Whether a model is there to answer.</summary>
    public bool IsReady => State == ModelState.Ready;

    /// <summary>Whether a model is being loaded.</summary>
    public bool IsLoading => State == ModelState.Loading;

    /// <summary>The model's name; empty without one.</summary>
    [ObservableProperty]
    [NotifyPropertyChangedFor(nameof(StatusText))]
    public partial string Name { get; private set; } = string.Empty;

    /// <summary>How far loading has come, 0 to 1. Where weights are quantized, it runs twice: over the files, then over the weights.</summary>
    [ObservableProperty]
    public partial double Progress { get; private set; }

    /// <summary>How far loading has come, in words; empty where nothing is loaded.</summary>
    [ObservableProperty]
    [NotifyPropertyChangedFor(nameof(StatusText))]
    public partial string ProgressText { get; private set; } = string.Empty;

    /// <summary>Number of weights; 0 without a model.</summary>
    [ObservableProperty]
    public partial long ParameterCount { get; private set; }

    /// <summary>Most tokens of a conversation; 0 without a model.</summary>
    [ObservableProperty]
    public partial int ContextLength { get; private set; }

    /// <summary>
    /// Memory that the model needs with one conversation of full length, in bytes, known as soon as its files have been looked at; 0 before.
    /// </summary>
    [ObservableProperty]
    [NotifyPropertyChangedFor(nameof(StatusText))]
    public partial long EstimatedBytes { get; private set; }

    /// <summary>Why loading failed; null where it did not.</summary>
    [ObservableProperty]
    public partial string? Error { get; private set; }

    /// <summary>What the user should know of how the model runs on this machine; null for nothing.</summary>
    [ObservableProperty]
    public partial string? Notice { get; private set; }

    /// <summary>The state in a line.</summary>
    public string StatusText => State switch
    {
        ModelState.Loading => $"Loading {Name}: {(ProgressText.Length > 0 ? ProgressText : "looking at its files")}",
        ModelState.Ready => $"{Name}, {Wording.Count(ParameterCount)} parameters, needs {Wording.Bytes(EstimatedBytes)}",
        ModelState.Failed => $"{Name} could not be loaded",
        _ => "No model",
    };

    /// <summary>The engine that answers, or null.</summary>
    internal InferenceEngine? Engine => _engine;

    /// <summary>Gives up the model; answers that are under way end with what they have.</summary>
    internal async Task UnloadAsync()
    {
        if (_engine is not null)
        {
            (State, Name, EstimatedBytes) = (ModelState.None, string.Empty, 0);
            await ReleaseAsync();
        }
    }

    /// <summary>Takes note that the error has been read.</summary>
    internal void DismissError() => Error = null;

    /// <summary>Stops loading, and gives up the model.</summary>
    internal async Task EndAsync()
    {
        _loading?.Cancel();
        if (LoadCommand.ExecutionTask is { } loading)
        {
            await loading;
        }

        await UnloadAsync();
    }

    /// <summary>Loads a model, in the place of the one in use.</summary>
    /// <param name="path">A checkpoint folder or a .gguf file; null or empty for the embedded model.</param>
    [RelayCommand(CanExecute = nameof(CanLoad))]
    private async Task LoadAsync(string? path)
    {
        if (!CanLoad())
        {
            return;
        }

        path = string.IsNullOrWhiteSpace(path) ? null : path.Trim();
        using CancellationTokenSource stop = new();
        _loading = stop;
        (ModelState State, string Name, long Estimated) before = (State, Name, EstimatedBytes);
        (Error, Progress, ProgressText) = (null, 0, string.Empty);
        (Name, EstimatedBytes) = (path is null ? ModelLoading.EmbeddedName : Path.GetFileName(Path.TrimEndingDirectorySeparator(path)), 0);
        State = ModelState.Loading;
        try
        {
            await ReplaceAsync(path, stop.Token);
            State = ModelState.Ready;
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            GoBack(before, ModelState.None);
        }
        catch (Exception error)
        {
            // Whatever it is: a file that is not a model must not end the application.
            Error = $"{Name} could not be loaded. {ErrorText.Of(error)}";
            GoBack(before, ModelState.Failed);
        }
        finally
        {
            _loading = null;
            ProgressText = string.Empty;
        }
    }

    private bool CanLoad() => !IsLoading;

    [RelayCommand(CanExecute = nameof(IsLoading))]
    private void CancelLoad() => _loading?.Cancel();

    [RelayCommand(CanExecute = nameof(IsReady))]
    private Task Unload() => UnloadAsync();

    private async Task ReplaceAsync(string? path, CancellationToken cancellationToken)
    {
        LoadingProgress heard = new();
        using LatestOnUi<LoadProgress> progress = new(_ui, _time, heard.Take, Show);
        heard.Changed = progress.Changed;
        LoadOptions options = new() { Quantization = _settings.Quantization, Progress = heard };
        if (path is not null)
        {
            // Not waited for when cancelled: it reads headers, and ends soon.
            EstimatedBytes = await Task.Run(() => Estimate(LanguageModel.Inspect(path) with { Quantization = options.Quantization }), cancellationToken)
                .WaitAsync(cancellationToken);
        }

        await ReleaseAsync();
        LanguageModel model = await _loader(path, options, cancellationToken);
        try
        {
            (InferenceEngine engine, long bytes, long count) = await Task.Run(
                () =>
                {
                    // Answers of two conversations at a time: a third waits. Of what they have in common, and of what a conversation had
                    // before, keys and values are kept and not computed again.
                    InferenceEngine engine = new(model, new EngineOptions { MaxConcurrentRequests = 2 });
                    return (engine, Estimate(model.Info), model.Info.ParameterCount);
                },
                CancellationToken.None);
            (ParameterCount, ContextLength, EstimatedBytes, Notice) = (count, engine.ContextLength, bytes, model.InstructionSetNotice);
            (Progress, _engine) = (1, engine);
        }
        catch
        {
            await Task.Run(model.Dispose, CancellationToken.None);
            throw;
        }
    }

    private async Task ReleaseAsync()
    {
        if (_engine is { } engine)
        {
            _engine = null;
            (ParameterCount, ContextLength, Notice) = (0, 0, null);
            await engine.DisposeAsync();
            await Task.Run(engine.Model.Dispose);
        }
    }

    private void Show(LoadProgress progress)
    {
        Progress = progress.BytesTotal > 0 ? (double)progress.BytesDone / progress.BytesTotal : 0;
        ProgressText = $"{Wording.Bytes(progress.BytesDone)} of {Wording.Bytes(progress.BytesTotal)}";
    }

    // The model that was in use is there still if it had not been given up.
    private void GoBack((ModelState State, string Name, long Estimated) before, ModelState otherwise)
    {
        if (_engine is not null)
        {
            (Name, EstimatedBytes, State) = (before.Name, before.Estimated, before.State);
        }
        else
        {
            (Name, EstimatedBytes, State) = (otherwise == ModelState.Failed ? Name : string.Empty, 0, otherwise);
        }
    }

    private static long Estimate(CheckpointInfo checkpoint) => checkpoint.EstimateMemory(checkpoint.Config.MaxPositionEmbeddings).TotalBytes;
}
