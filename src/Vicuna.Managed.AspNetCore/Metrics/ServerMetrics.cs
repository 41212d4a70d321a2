using System.Globalization;
using Vicuna.Managed.AspNetCore.Endpoints;
using Vicuna.Managed.AspNetCore.Hosting;

namespace Vicuna.Managed.AspNetCore.Metrics;

/// <summary>
/// What is counted: requests here, tokens and memory in the engine. Names and buckets of <c>gen_ai_server_*</c> are those of OpenTelemetry's conventions for
/// generative AI (open-telemetry/semantic-conventions, docs/gen-ai/gen-ai-metrics.md), with further buckets at the long end, where CPUs are.
/// </summary>
internal sealed class ServerMetrics
{
    /// <summary>The provider's name in labels.</summary>
    public const string Provider = "vicuna.managed";

    private readonly Lock _lock = new();
    private long _refused;
    private readonly SortedDictionary<(string Route, int Status), long> _requests = [];
    private readonly Histogram _duration = new(
        "gen_ai_server_request_duration_seconds", "Time from a request's arrival to the end of its answer.",
        [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84, 327.68]);

    private readonly Histogram _firstToken = new(
        "gen_ai_server_time_to_first_token_seconds", "Time from a request's arrival to its first token, waiting included.",
        [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80]);

    private readonly Histogram _perToken = new(
        "gen_ai_server_time_per_output_token_seconds", "Time per token after an answer's first.",
        [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 10]);

    /// <summary>Counts a request that was refused because of load before the engine was asked.</summary>
    public void CountRefused() => Interlocked.Increment(ref _refused);

    /// <summary>Counts a request that has ended.</summary>
    public void Count(Exchange exchange, int status)
    {
        lock (_lock)
        {
            _requests[(exchange.Route.Pattern, status)] = _requests.GetValueOrDefault((exchange.Route.Pattern, status)) + 1;
        }

        if (exchange.Route.Operation is not { } operation)
        {
            return;
        }

        double elapsed = exchange.Elapsed.TotalSeconds;
        _duration.Observe(elapsed, operation, exchange.Problem ?? string.Empty);
        if (exchange.FirstToken is { } first)
        {
            _firstToken.Observe(first.TotalSeconds, operation);
            if (exchange.NewTokens > 1 && exchange.Problem is null)
            {
                _perToken.Observe((elapsed - first.TotalSeconds) / (exchange.NewTokens - 1), operation);
            }
        }
    }

    /// <summary>Writes everything.</summary>
    public void Write(PrometheusText text, ModelHost host)
    {
        text.Family("vicuna_requests_total", "counter", "HTTP requests that have ended, by route and status; 499 = the client had gone.");
        lock (_lock)
        {
            foreach (((string route, int status), long count) in _requests)
            {
                text.Sample("vicuna_requests_total", count, ("route", route), ("code", status.ToString(CultureInfo.InvariantCulture)));
            }
        }

        One("vicuna_requests_in_progress", "gauge", "HTTP requests that are being answered.", host.InFlight);
        One("vicuna_process_gc_heap_bytes", "gauge", "Memory of managed objects, garbage that is still to be collected included.", GC.GetTotalMemory(false));
        One("vicuna_process_working_set_bytes", "gauge", "Physical memory of the process, mapped weights that are in it included.", Environment.WorkingSet);
        if (host.Served is not { } served)
        {
            return;
        }

        text.Family("vicuna_model_info", "gauge", "The model; always 1.");
        text.Sample("vicuna_model_info", 1, ("model", served.Id), ("quantization", served.Model.Quantization.ToString()), ("kv", served.Model.KeyValueType.ToString()));
        One("vicuna_model_load_seconds", "gauge", "Time that loading the model took.", served.LoadTime.TotalSeconds);
        One("vicuna_draining", "gauge", "1 where no new requests are taken.", host.State == ServerState.Draining ? 1 : 0);
        if (host.State == ServerState.Ready)
        {
            WriteEngine(served.Engine);
        }

        _duration.Write(text, served.Id);
        _firstToken.Write(text, served.Id);
        _perToken.Write(text, served.Id);

        void WriteEngine(InferenceEngine engine)
        {
            EngineStatus status = engine.GetStatus();
            One("vicuna_engine_healthy", "gauge", "1 where the engine's loop runs.", status.IsHealthy ? 1 : 0);
            One("vicuna_engine_last_pass_seconds", "gauge", "Time since the engine's last sign of life; 0 where it is idle.", status.LastPass.TotalSeconds);
            One("vicuna_active_requests", "gauge", "Answers that are being worked on.", status.ActiveRequests);
            One("vicuna_active_requests_limit", "gauge", "Most answers that are worked on at a time.", engine.Options.MaxConcurrentRequests);
            One("vicuna_queued_requests", "gauge", "Requests that wait for their turn.", status.QueuedRequests);
            One("vicuna_kv_active_bytes", "gauge", "Memory of keys and values that running requests hold or may need.", status.KeyValueBytesActive);
            One("vicuna_kv_cached_bytes", "gauge", "Memory of keys and values that is kept of earlier requests.", status.KeyValueBytesCached);
            One("vicuna_kv_capacity_bytes", "gauge", "Most memory of keys and values.", status.KeyValueBytesCapacity);
            One("vicuna_accepted_total", "counter", "Requests that the engine has accepted.", status.TotalRequests);
            One("vicuna_rejected_total", "counter", "Requests that were refused because of load.", status.TotalRejected + Interlocked.Read(ref _refused));
            One("vicuna_cancelled_total", "counter", "Requests that were cancelled.", status.TotalCancelled);
            One("vicuna_failed_total", "counter", "Requests that failed.", status.TotalFailed);
            One("vicuna_prompt_tokens_total", "counter", "Prompt tokens that were computed.", status.TotalPromptTokens);
            One("vicuna_cached_tokens_total", "counter", "Prompt tokens that were found in memory.", status.TotalCachedTokens);
            One("vicuna_generated_tokens_total", "counter", "Tokens that were generated.", status.TotalGeneratedTokens);
            One("vicuna_prefill_seconds_total", "counter", "Time of passes with prompts.", status.TotalPrefillTime.TotalSeconds);
            One("vicuna_decode_seconds_total", "counter", "Time of passes with answers alone.", status.TotalDecodeTime.TotalSeconds);
            One("vicuna_decode_tokens_total", "counter", "Tokens of passes with answers alone.", status.TotalDecodeTokens);
        }

        void One(string name, string type, string help, double value)
        {
            text.Family(name, type, help);
            text.Sample(name, value);
        }
    }
}
