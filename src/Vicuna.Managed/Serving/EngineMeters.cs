using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace Vicuna.Managed.Serving;

/// <summary>
/// The engine's instruments. Names and buckets of those that begin with <c>gen_ai</c> are OpenTelemetry's (semantic conventions for generative AI,
/// metrics, status Development); the others are this library's own. Nothing leaves the process unless the application listens.
/// </summary>
internal sealed class EngineMeters : IDisposable
{
    /// <summary>Name of the meter and of the activity source.</summary>
    public const string Name = "Vicuna.Managed";

    /// <summary>The provider's name in attributes.</summary>
    public const string Provider = "vicuna.managed";

    private static readonly double[] Seconds = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
    private static readonly double[] FirstToken = [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80];
    private static readonly double[] PerToken = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5];

    private readonly Meter _meter;
    private readonly bool _ownsMeter;
    private volatile Func<EngineStatus>? _status;

    /// <summary>Creates the instruments.</summary>
    /// <param name="factory">Makes meters, in applications with dependency injection; null for a meter of its own.</param>
    /// <param name="model">Name of the model, an attribute of all measurements.</param>
    /// <param name="status">Tells what the engine is doing.</param>
    public EngineMeters(IMeterFactory? factory, string model, Func<EngineStatus> status)
    {
        _ownsMeter = factory is null;
        _meter = factory?.Create(new MeterOptions(Name)) ?? new Meter(Name);
        Model = new KeyValuePair<string, object?>("gen_ai.request.model", model);
        RequestDuration = Histogram("gen_ai.server.request.duration", "s", "Time from a request's arrival to the end of its answer.", Seconds);
        TimeToFirstToken = Histogram("gen_ai.server.time_to_first_token", "s", "Time from a request's arrival to its first token.", FirstToken);
        TimePerOutputToken = Histogram("gen_ai.server.time_per_output_token", "s", "Time per token after the first.", PerToken);
        QueueTime = Histogram("vicuna.queue.duration", "s", "Time that a request waited for its turn.", Seconds);
        PromptTokens = _meter.CreateCounter<long>("vicuna.prompt.tokens", "{token}", "Prompt tokens that were computed.");
        CachedTokens = _meter.CreateCounter<long>("vicuna.prompt.cached_tokens", "{token}", "Prompt tokens that were in memory.");
        GeneratedTokens = _meter.CreateCounter<long>("vicuna.generated.tokens", "{token}", "Tokens that were generated.");
        Cancelled = _meter.CreateCounter<long>("vicuna.requests.cancelled", "{request}", "Requests that were cancelled.");
        NonFinite = _meter.CreateCounter<long>("vicuna.requests.non_finite", "{request}", "Requests that ended because the model's output was not a number.");
        _status = status;
        _meter.CreateObservableCounter("vicuna.requests.rejected", () => Now(now => now.TotalRejected), "{request}", "Requests that were refused because of load.");
        _meter.CreateObservableGauge("vicuna.queue.length", () => Now(now => now.QueuedRequests), "{request}", "Requests that wait.");
        _meter.CreateObservableGauge("vicuna.requests.active", () => Now(now => now.ActiveRequests), "{request}", "Requests that are worked on.");
        _meter.CreateObservableGauge("vicuna.kv.active", () => Now(now => now.KeyValueBytesActive), "By", "Keys and values that running requests hold or may need.");
        _meter.CreateObservableGauge("vicuna.kv.cached", () => Now(now => now.KeyValueBytesCached), "By", "Keys and values kept to be shared.");
        _meter.CreateObservableGauge("vicuna.kv.capacity", () => Now(now => now.KeyValueBytesCapacity), "By", "The most that keys and values may take.");
        _meter.CreateObservableGauge(
            "vicuna.prefill.speed", () => Now(now => PerSecond(now, prefill: true)), "{token}/s", "Prompt tokens per second of passes with prompts, since the start.");
        _meter.CreateObservableGauge(
            "vicuna.decode.speed", () => Now(now => PerSecond(now, prefill: false)), "{token}/s", "Tokens per second of passes with answers alone, since the start.");
    }

    /// <summary>Where activities of requests come from.</summary>
    public static ActivitySource Activities { get; } = new(Name);

    /// <summary>The model's name, as an attribute.</summary>
    public KeyValuePair<string, object?> Model { get; }

    /// <summary>From arrival to end.</summary>
    public Histogram<double> RequestDuration { get; }

    /// <summary>From arrival to the first token.</summary>
    public Histogram<double> TimeToFirstToken { get; }

    /// <summary>Mean time of each token after the first.</summary>
    public Histogram<double> TimePerOutputToken { get; }

    /// <summary>From arrival to the request's turn.</summary>
    public Histogram<double> QueueTime { get; }

    /// <summary>Prompt tokens that were computed.</summary>
    public Counter<long> PromptTokens { get; }

    /// <summary>Prompt tokens that were in memory.</summary>
    public Counter<long> CachedTokens { get; }

    /// <summary>Tokens that were generated.</summary>
    public Counter<long> GeneratedTokens { get; }

    /// <summary>Requests that were cancelled.</summary>
    public Counter<long> Cancelled { get; }

    /// <summary>Requests whose logits were not numbers.</summary>
    public Counter<long> NonFinite { get; }

    /// <summary>Ends the instruments, unless the application's factory owns them.</summary>
    public void Dispose()
    {
        // The application's meter goes on: it must neither report an engine that has ended nor keep it alive.
        _status = null;
        if (_ownsMeter)
        {
            _meter.Dispose();
        }
    }

    private IEnumerable<Measurement<T>> Now<T>(Func<EngineStatus, T> number)
        where T : struct =>
        _status is { } status ? [new Measurement<T>(number(status()), Model)] : [];

    private static double PerSecond(EngineStatus status, bool prefill)
    {
        (long tokens, TimeSpan time) = prefill ? (status.TotalPromptTokens, status.TotalPrefillTime) : (status.TotalDecodeTokens, status.TotalDecodeTime);
        return time > TimeSpan.Zero ? tokens / time.TotalSeconds : 0;
    }

    private Histogram<double> Histogram(string name, string unit, string description, double[] buckets) =>
        _meter.CreateHistogram(name, unit, description, advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = buckets });
}
