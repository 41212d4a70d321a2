using System.Diagnostics;
using System.Diagnostics.Metrics;
using Vicuna.Managed.Chat;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.Serving;

/// <summary>What an application that listens hears of an engine.</summary>
[Collection(nameof(AloneInTheProcess))]
public sealed class EngineTelemetryTests
{
    [Fact]
    public async Task Meters_OfRequests_CountWhatHappened()
    {
        using LanguageModel model = LanguageModel.Load(PicoVicuna.Folder);
        await using InferenceEngine engine = new(model);
        Dictionary<string, List<(double Value, Dictionary<string, object?> Tags)>> heard = [];
        using MeterListener listener = new()
        {
            InstrumentPublished = (instrument, self) =>
            {
                if (instrument.Meter.Name == InferenceEngine.MeterName)
                {
                    self.EnableMeasurementEvents(instrument);
                }
            },
        };
        listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) => Hear(instrument, value, tags));
        listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => Hear(instrument, value, tags));
        listener.SetMeasurementEventCallback<int>((instrument, value, tags, _) => Hear(instrument, value, tags));
        listener.Start();
        ChatMessage[] question = [new(ChatRole.User, "What is 3 plus 4?")];
        GenerationResult result = await engine.GenerateAsync(question, new GenerationOptions { Temperature = 0 });
        await engine.GenerateAsync(question, new GenerationOptions { Temperature = 0 });
        await engine.EmbedAsync("What is 3 plus 4?");
        listener.RecordObservableInstruments();

        Assert.Equal(["chat", "chat", "embeddings"], heard["gen_ai.server.request.duration"].Select(item => item.Tags["gen_ai.operation.name"]));
        Assert.All(heard["gen_ai.server.request.duration"], item =>
        {
            Assert.InRange(item.Value, 0, 60);
            Assert.Equal(("vicuna.managed", "pico-vicuna"), (item.Tags["gen_ai.provider.name"], item.Tags["gen_ai.request.model"]));
            Assert.DoesNotContain("error.type", item.Tags.Keys);
        });
        Assert.Equal(2, heard["gen_ai.server.time_to_first_token"].Count);
        Assert.Equal(2, heard["gen_ai.server.time_per_output_token"].Count);
        // As the answers have them: the end-of-sequence token is not among them.
        Assert.Equal(2 * result.TokenIds.Count, heard["vicuna.generated.tokens"].Sum(item => item.Value));
        Assert.Equal(2 * result.TokenIds.Count, engine.GetStatus().TotalGeneratedTokens);
        Assert.Equal(0, heard["vicuna.requests.rejected"].Single().Value);
        Assert.True(heard["vicuna.prompt.cached_tokens"].Sum(item => item.Value) > 0);
        Assert.Equal(0, heard["vicuna.requests.active"].Single().Value);
        Assert.True(heard["vicuna.kv.capacity"].Single().Value > heard["vicuna.kv.cached"].Single().Value);
        Assert.True(heard["vicuna.prefill.speed"].Single().Value > 0);
        Assert.True(heard["vicuna.prompt.tokens"].Sum(item => item.Value) >= result.PromptTokens);

        void Hear(Instrument instrument, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
        {
            Dictionary<string, object?> copy = [];
            foreach ((string key, object? tag) in tags)
            {
                copy[key] = tag;
            }

            lock (heard)
            {
                (heard.TryGetValue(instrument.Name, out var list) ? list : heard[instrument.Name] = []).Add((value, copy));
            }
        }
    }

    [Fact]
    public async Task Listener_ThatThrows_HarmsNobody()
    {
        using LanguageModel model = LanguageModel.Load(PicoVicuna.Folder);
        await using InferenceEngine engine = new(model);
        int thrown = 0;
        using MeterListener listener = new()
        {
            InstrumentPublished = (instrument, self) =>
            {
                if (instrument.Meter.Name == InferenceEngine.MeterName)
                {
                    self.EnableMeasurementEvents(instrument);
                }
            },
        };
        listener.SetMeasurementEventCallback<double>((_, _, _, _) => Throw());
        listener.SetMeasurementEventCallback<long>((_, _, _, _) => Throw());
        listener.Start();
        ChatMessage[] question = [new(ChatRole.User, "What is 3 plus 4?")];
        Assert.Equal("Three plus four is seven.", (await engine.GenerateAsync(question, new GenerationOptions { Temperature = 0 })).Text);
        await engine.EmbedAsync("What is 3 plus 4?");
        await engine.DrainAsync().WaitAsync(TimeSpan.FromMinutes(2), TestContext.Current.CancellationToken);
        EngineStatus status = engine.GetStatus();
        Assert.Equal((true, 0), (status.IsHealthy, status.ActiveRequests));
        Assert.True(thrown > 3);

        void Throw()
        {
            Interlocked.Increment(ref thrown);
            throw new InvalidTimeZoneException("of the listener");
        }
    }

    [Fact]
    public async Task Activities_OfRequests_TellNumbersAndNoText()
    {
        List<Activity> ended = [];
        using ActivityListener listener = new()
        {
            ShouldListenTo = source => source.Name == InferenceEngine.MeterName,
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = activity =>
            {
                lock (ended)
                {
                    ended.Add(activity);
                }
            },
        };
        ActivitySource.AddActivityListener(listener);
        using LanguageModel model = LanguageModel.Load(PicoVicuna.Folder);
        await using InferenceEngine engine = new(model);
        using Activity parent = new Activity("caller").Start();
        GenerationResult result = await engine.GenerateAsync(
            new ChatMessage[] { new(ChatRole.User, "What is 3 plus 4?") }, new GenerationOptions { Temperature = 0, MaxNewTokens = 50, Seed = 3 });
        Assert.Same(parent, Activity.Current);
        await Assert.ThrowsAsync<TimeoutException>(() => engine.GenerateAsync(
            Enumerable.Repeat(5, 500).ToArray(), new GenerationOptions { MaxNewTokens = 1 }, new RequestOptions { TimeLimit = TimeSpan.FromTicks(1) }));

        Assert.Equal(2, ended.Count);
        Activity chat = ended[0];
        Assert.Equal(("chat pico-vicuna", parent.SpanId), (chat.OperationName, chat.ParentSpanId));
        Assert.Equal("chat", chat.GetTagItem("gen_ai.operation.name"));
        Assert.Equal(result.PromptTokens, chat.GetTagItem("gen_ai.usage.input_tokens"));
        Assert.Equal(result.TokenIds.Count, chat.GetTagItem("gen_ai.usage.output_tokens"));
        Assert.Equal(50, chat.GetTagItem("gen_ai.request.max_tokens"));
        Assert.Equal(["stop"], (string[])chat.GetTagItem("gen_ai.response.finish_reasons")!);
        Assert.Equal(ActivityStatusCode.Unset, chat.Status);
        Assert.DoesNotContain(ended.SelectMany(activity => activity.TagObjects), tag => $"{tag.Value}".Contains("plus", StringComparison.OrdinalIgnoreCase));
        Assert.Equal((ActivityStatusCode.Error, "TimeoutException"), (ended[1].Status, ended[1].GetTagItem("error.type")));
    }
}
