using System.Diagnostics;

namespace Vicuna.Managed.Serving;

/// <summary>
/// What the engine's meters and activities are told of one request: numbers and names, never its texts. Whoever listens is called by the telling, on the
/// engine's thread; what he throws is his own affair and goes no further.
/// </summary>
internal sealed class RequestTelemetry
{
    private readonly EngineMeters _meters;
    private readonly KeyValuePair<string, object?> _operation;
    private readonly Activity? _activity;
    private readonly long _arrived = Stopwatch.GetTimestamp();
    private readonly int _promptTokens;
    private int _cachedTokens;
    private long _firstToken;
    private int _tokens;
    private int _ended;
    private Action? _countToken;

    /// <summary>The request has arrived.</summary>
    /// <param name="meters">The instruments.</param>
    /// <param name="operation">Name of the operation.</param>
    /// <param name="options">How it generates; null where it does not.</param>
    /// <param name="promptTokens">Tokens of the prompt.</param>
    public RequestTelemetry(EngineMeters meters, string operation, GenerationOptions? options, int promptTokens)
    {
        _meters = meters;
        _promptTokens = promptTokens;
        _operation = new KeyValuePair<string, object?>("gen_ai.operation.name", operation);
        _activity = EngineMeters.Activities.StartActivity($"{operation} {meters.Model.Value}", ActivityKind.Internal);
        if (_activity is { IsAllDataRequested: true })
        {
            _activity.SetTag(_operation.Key, operation);
            _activity.SetTag("gen_ai.provider.name", EngineMeters.Provider);
            _activity.SetTag(meters.Model.Key, meters.Model.Value);
            _activity.SetTag("gen_ai.usage.input_tokens", promptTokens);
            _activity.SetTag("gen_ai.request.max_tokens", options?.MaxNewTokens);
            _activity.SetTag("gen_ai.request.temperature", options?.Temperature);
            _activity.SetTag("gen_ai.request.top_p", options?.TopP);
            _activity.SetTag("gen_ai.request.top_k", options?.TopK);
            _activity.SetTag("gen_ai.request.seed", options?.Seed);
        }

        // The caller goes on with its own activity; this one ends when the request does.
        if (_activity is not null)
        {
            Activity.Current = _activity.Parent;
        }
    }

    /// <summary>The request's turn has come.</summary>
    /// <returns>How long it waited.</returns>
    public TimeSpan Begin()
    {
        TimeSpan waited = Stopwatch.GetElapsedTime(_arrived);
        Tell(() =>
        {
            _meters.QueueTime.Record(waited.TotalSeconds, _operation, _meters.Model);
            _activity?.AddEvent(new ActivityEvent("vicuna.started"));
        });
        return waited;
    }

    /// <summary>Some of the prompt was in memory.</summary>
    public void AddCached(int tokens) => _cachedTokens += tokens;

    /// <summary>The prompt has been computed.</summary>
    public void EndPrompt() => Tell(() =>
    {
        _meters.PromptTokens.Add(_promptTokens - _cachedTokens, _meters.Model);
        _meters.CachedTokens.Add(_cachedTokens, _meters.Model);
        _activity?.SetTag("gen_ai.usage.cache_read.input_tokens", _cachedTokens);
    });

    /// <summary>A token has been chosen, the first after <see cref="EndPrompt"/>.</summary>
    /// <param name="isOfAnswer">Whether it is one of the answer's; the one that ends it is not.</param>
    public void AddToken(bool isOfAnswer)
    {
        if (_firstToken == 0)
        {
            _firstToken = Stopwatch.GetTimestamp();
            Tell(() =>
            {
                _meters.TimeToFirstToken.Record(Stopwatch.GetElapsedTime(_arrived, _firstToken).TotalSeconds, _operation, Provider, _meters.Model);
                _activity?.AddEvent(new ActivityEvent("gen_ai.first_token"));
            });
        }

        if (isOfAnswer)
        {
            _tokens++;
            Tell(_countToken ??= () => _meters.GeneratedTokens.Add(1, _meters.Model));
        }
    }

    /// <summary>The request has ended.</summary>
    /// <param name="reason">Why; null for one that generates nothing.</param>
    public void Complete(FinishReason? reason)
    {
        if (reason is not null)
        {
            Tell(() =>
            {
                _activity?.SetTag("gen_ai.usage.output_tokens", _tokens);
                _activity?.SetTag("gen_ai.response.finish_reasons", new[] { NameOf(reason.Value) });
            });
        }

        End(null);
    }

    /// <summary>The request has failed.</summary>
    public void Fail(Exception exception)
    {
        string type = exception is EngineOverloadedException overloaded ? overloaded.Reason.ToString() : exception.GetType().Name;
        Tell(() =>
        {
            if (exception is OperationCanceledException)
            {
                _meters.Cancelled.Add(1, _meters.Model);
            }
            else if (exception is NonFiniteLogitsException { IsEveryTokenBanned: false })
            {
                _meters.NonFinite.Add(1, _meters.Model);
            }

            _activity?.SetTag("error.type", type);
            _activity?.SetStatus(ActivityStatusCode.Error);
        });
        End(type);
    }

    private static KeyValuePair<string, object?> Provider => new("gen_ai.provider.name", EngineMeters.Provider);

    // The conventions' names, which are those of OpenAI's API.
    private static string NameOf(FinishReason reason) => reason is FinishReason.EndOfSequence or FinishReason.StopString ? "stop" : "length";

    private void End(string? error)
    {
        if (Interlocked.Exchange(ref _ended, 1) == 1)
        {
            return;
        }

        TagList tags = [_operation, Provider, _meters.Model];
        if (error is not null)
        {
            tags.Add("error.type", error);
        }

        Tell(() =>
        {
            _meters.RequestDuration.Record(Stopwatch.GetElapsedTime(_arrived).TotalSeconds, tags);
            if (_tokens > 1)
            {
                _meters.TimePerOutputToken.Record(Stopwatch.GetElapsedTime(_firstToken).TotalSeconds / (_tokens - 1), _operation, Provider, _meters.Model);
            }
        });
        Tell(() => _activity?.Dispose());
    }

    private static void Tell(Action tell)
    {
        try
        {
            tell();
        }
        catch (Exception)
        {
            // A listener's. The request must not end, or end twice, because of it.
        }
    }
}
