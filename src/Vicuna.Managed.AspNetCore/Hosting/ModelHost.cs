using System.Diagnostics;
using System.Diagnostics.Metrics;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Vicuna.Managed.AspNetCore.Hosting;

/// <summary>Loads the model while the application already listens, and brings its requests to an end when the application stops.</summary>
internal sealed partial class ModelHost : IHostedLifecycleService, IAsyncDisposable
{
    // What cancelled requests get to write their last words.
    private static readonly TimeSpan LastWords = TimeSpan.FromSeconds(3);

    private readonly ILogger<ModelHost> _logger;
    private readonly IMeterFactory? _meters;
    private readonly IServer? _server;
    private readonly TaskCompletionSource<ServedModel> _loaded = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _drained = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _stopLoading = new();
    private readonly CancellationTokenSource _abort = new();
    private readonly Lock _lock = new();
    private volatile ServedModel? _served;
    private volatile bool _draining;
    private Task _loading = Task.CompletedTask;
    private int _inFlight;
    private bool _disposed;

    /// <summary>Takes the options.</summary>
    /// <param name="options">The options.</param>
    /// <param name="logger">Receives what happens.</param>
    /// <param name="meters">Makes the engine's meter where the application has such a service and the options do not name another.</param>
    /// <param name="server">Knows where the application listens; null where it does not.</param>
    public ModelHost(IOptions<VicunaServerOptions> options, ILogger<ModelHost> logger, IMeterFactory? meters = null, IServer? server = null)
    {
        Options = options.Value;
        _logger = logger;
        _meters = meters;
        _server = server;
        Options.Check();
        Keys = ApiKeys.Of(Options);
        // Somebody may wait for it, or nobody.
        _ = _loaded.Task.ContinueWith(static task => task.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
    }

    /// <summary>The options.</summary>
    public VicunaServerOptions Options { get; }

    /// <summary>Keys of which a request needs one.</summary>
    public ApiKeys Keys { get; }

    /// <summary>The model, once it is loaded.</summary>
    public ServedModel? Served => _served;

    /// <summary>Ends with the model, or with what prevented it.</summary>
    public Task<ServedModel> Loaded => _loaded.Task;

    /// <summary>Cancelled when requests that go on beyond the shutdown timeout have to end.</summary>
    public CancellationToken Abort => _abort.Token;

    /// <summary>Requests that are being answered.</summary>
    public int InFlight => Volatile.Read(ref _inFlight);

    /// <summary>How far it has come.</summary>
    public ServerState State =>
        _draining ? ServerState.Draining
        : _served is not null ? ServerState.Ready
        : _loaded.Task.IsCompleted ? ServerState.Failed
        : ServerState.Loading;

    /// <summary>The kind of error that loading ended with, for strangers: no paths, no details.</summary>
    public string FailureKind => _loaded.Task.Exception?.InnerException?.GetType().Name ?? "unknown error";

    /// <summary>Counts a request in, whatever the state: stopping waits for it from now on.</summary>
    public void Enter() => Interlocked.Increment(ref _inFlight);

    /// <summary>Counts a request out.</summary>
    public void Leave()
    {
        lock (_lock)
        {
            if (Interlocked.Decrement(ref _inFlight) == 0 && _draining)
            {
                _drained.TrySetResult();
            }
        }
    }

    /// <inheritdoc/>
    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public Task StartAsync(CancellationToken cancellationToken)
    {
        _loading = LoadAsync();
        return Task.CompletedTask;
    }

    /// <summary>Once the application listens: says so where everybody may ask.</summary>
    public Task StartedAsync(CancellationToken cancellationToken)
    {
        IEnumerable<string> addresses = _server?.Features.Get<IServerAddressesFeature>()?.Addresses ?? [];
        if (Keys.Count == 0 && addresses.FirstOrDefault(address => !Address.IsLocal(address)) is { } open)
        {
            LogOpen(Text.Printable(open));
        }

        return Task.CompletedTask;
    }

    /// <summary>
    /// Before the listener closes, so that requests that still come are told so: takes no new requests, waits for the accepted ones, cancels what is left.
    /// </summary>
    public async Task StoppingAsync(CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            _draining = true;
            if (_inFlight == 0)
            {
                _drained.TrySetResult();
            }
        }

        await _stopLoading.CancelAsync().ConfigureAwait(false);
        if (_served is { } served)
        {
            LogDraining(InFlight, Options.ShutdownTimeout.TotalSeconds);
            using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            limit.CancelAfter(Options.ShutdownTimeout);
            try
            {
                // First the requests, as the engine would refuse what they still have to ask it: their next texts and answers. Then what the
                // application itself has asked it.
                await _drained.Task.WaitAsync(limit.Token).ConfigureAwait(false);
                await served.Engine.DrainAsync(limit.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                LogCancelled(InFlight);
            }
        }

        await _abort.CancelAsync().ConfigureAwait(false);
        await Quietly(_drained.Task.WaitAsync(LastWords, CancellationToken.None)).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>After the listener has closed: gives the memory up.</summary>
    public async Task StoppedAsync(CancellationToken cancellationToken) => await DisposeAsync().ConfigureAwait(false);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        lock (_lock)
        {
            if (_disposed)
            {
                return;
            }

            _disposed = true;
        }

        await _stopLoading.CancelAsync().ConfigureAwait(false);
        await _abort.CancelAsync().ConfigureAwait(false);
        await _loading.ConfigureAwait(false);
        if (_served is { } served)
        {
            await served.Engine.DisposeAsync().ConfigureAwait(false);
            served.Model.Dispose();
        }
    }

    // Never fails: what went wrong is kept for whoever asks.
    private async Task LoadAsync()
    {
        // A factory that works on the calling thread must not keep the application from listening.
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        long start = Stopwatch.GetTimestamp();
        LanguageModel? model = null;
        LogLoading();
        try
        {
            model = Options.ModelFactory is { } make
                ? await make(_stopLoading.Token).ConfigureAwait(false)
                : await LanguageModel.LoadAsync(Options.ModelPath!, Options.LoadOptions, _stopLoading.Token).ConfigureAwait(false);
            _stopLoading.Token.ThrowIfCancellationRequested();
            TimeSpan elapsed = Stopwatch.GetElapsedTime(start);
            string id = Options.ModelId ?? NameOf(Options.ModelPath ?? model.Info.Path);
            InferenceEngine engine = new(model, Options.EngineOptions with { MeterFactory = Options.EngineOptions.MeterFactory ?? _meters });
            ServedModel served = new(model, engine, id, DateTimeOffset.UtcNow.ToUnixTimeSeconds(), elapsed);
            LogReady(Text.Printable(id), elapsed.TotalSeconds, engine.Options.MaxConcurrentRequests, engine.ContextLength);
            if (Keys.Count > 0)
            {
                LogKeys(Keys.Count, Keys.Endings);
            }

            _served = served;
            _loaded.TrySetResult(served);
        }
        catch (OperationCanceledException) when (_stopLoading.IsCancellationRequested)
        {
            model?.Dispose();
            _loaded.TrySetCanceled(_stopLoading.Token);
        }
        catch (Exception exception)
        {
            // Whatever it is, the process goes on and says so: somebody may want to look at it.
            model?.Dispose();
            _loaded.TrySetException(exception);
            LogFailed(exception.GetType().Name, Text.Printable(exception.Message));
        }
    }

    private static string NameOf(string path)
    {
        string name = Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(path)));
        return name.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase) ? Path.GetFileNameWithoutExtension(name) : name.Length > 0 ? name : "model";
    }

    private static async Task Quietly(Task task) => await task.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

    [LoggerMessage(1, LogLevel.Information, "Model {Model} loaded in {Seconds:0.00} s: {Slots} requests at a time, context of {Context} tokens.")]
    private partial void LogReady(string model, double seconds, int slots, int context);

    [LoggerMessage(6, LogLevel.Information, "Loading the model; until it is there, requests are answered with 503.")]
    private partial void LogLoading();

    [LoggerMessage(2, LogLevel.Error, "The model could not be loaded: {Kind}: {Problem}")]
    private partial void LogFailed(string kind, string problem);

    [LoggerMessage(3, LogLevel.Information, "Requests need one of {Count} keys, which end in {Endings}.")]
    private partial void LogKeys(int count, string endings);

    [LoggerMessage(7, LogLevel.Warning, "There are no API keys, and {Address} can be reached from other machines: whoever reaches it can use the model.")]
    private partial void LogOpen(string address);

    [LoggerMessage(4, LogLevel.Information, "Stopping: no new requests; {Count} under way have {Seconds:0.#} s to end.")]
    private partial void LogDraining(int count, double seconds);

    [LoggerMessage(5, LogLevel.Warning, "Stopping: {Count} requests have not ended in time and are cancelled.")]
    private partial void LogCancelled(int count);
}
