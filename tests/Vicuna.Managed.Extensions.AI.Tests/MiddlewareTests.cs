using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Caching.Distributed;
using Microsoft.Extensions.Caching.Memory;
using Microsoft.Extensions.Options;
using Vicuna.Managed.Extensions.AI.Tests.Support;

namespace Vicuna.Managed.Extensions.AI.Tests;

/// <summary>The client under the middleware of Microsoft.Extensions.AI. Function invocation has its tests with the tools.</summary>
public sealed class MiddlewareTests(Pico pico)
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Caching_AnswersTheSecondTimeWithoutTheEngine(bool isStreamed)
    {
        using InferenceEngine engine = new(pico.Model);
        IDistributedCache cache = new MemoryDistributedCache(Options.Create(new MemoryDistributedCacheOptions()));
        using IChatClient client = new VicunaChatClient(engine).AsBuilder().UseDistributedCache(cache).Build();
        Task<ChatResponse> AskAsync() => isStreamed
            ? client.GetStreamingResponseAsync(Pico.Question, Pico.Greedy).ToChatResponseAsync()
            : client.GetResponseAsync(Pico.Question, Pico.Greedy);
        ChatResponse first = await AskAsync();
        ChatResponse second = await AskAsync();
        Assert.Equal(1, engine.GetStatus().TotalRequests);
        Assert.Equal(Pico.Answer, first.Text);
        Assert.Equal(Pico.Answer, second.Text);
        Assert.Equal(first.Usage!.OutputTokenCount, second.Usage!.OutputTokenCount);
        Assert.Equal(first.FinishReason, second.FinishReason);
        Assert.Equal(first.ModelId, second.ModelId);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task OpenTelemetry_KnowsProviderModelReasonAndTokens(bool isStreamed)
    {
        string source = $"test-{Guid.NewGuid():N}";
        ConcurrentQueue<Activity> activities = [];
        using ActivityListener listener = new()
        {
            ShouldListenTo = candidate => candidate.Name == source,
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = activities.Enqueue,
        };
        ActivitySource.AddActivityListener(listener);
        using IChatClient client = new VicunaChatClient(pico.Engine).AsBuilder().UseOpenTelemetry(sourceName: source).Build();
        ChatResponse response = isStreamed
            ? await client.GetStreamingResponseAsync(Pico.Question, Pico.Greedy).ToChatResponseAsync()
            : await client.GetResponseAsync(Pico.Question, Pico.Greedy);
        Activity activity = Assert.Single(activities);
        Assert.Equal("vicuna.managed", activity.GetTagItem("gen_ai.provider.name"));
        Assert.Equal(Pico.ModelId, activity.GetTagItem("gen_ai.request.model"));
        Assert.Equal(Pico.ModelId, activity.GetTagItem("gen_ai.response.model"));
        Assert.Equal(response.ResponseId, activity.GetTagItem("gen_ai.response.id"));
        Assert.Equal("""["stop"]""", activity.GetTagItem("gen_ai.response.finish_reasons"));
        Assert.Equal(response.Usage!.InputTokenCount, Convert.ToInt64(activity.GetTagItem("gen_ai.usage.input_tokens"), CultureInfo.InvariantCulture));
        Assert.Equal(response.Usage.OutputTokenCount, Convert.ToInt64(activity.GetTagItem("gen_ai.usage.output_tokens"), CultureInfo.InvariantCulture));
    }

    [Fact]
    public async Task Logging_WritesRequestsAndAnswers()
    {
        LinesLogger log = new();
        using IChatClient client = new VicunaChatClient(pico.Engine).AsBuilder().UseLogging(log).Build();
        await client.GetResponseAsync(Pico.Question, Pico.Greedy);
        Assert.Contains(log.Lines, line => line.Contains(Pico.Question, StringComparison.Ordinal));
        Assert.Contains(log.Lines, line => line.Contains(Pico.Answer, StringComparison.Ordinal));
        log.Lines.Clear();
        await client.GetStreamingResponseAsync(Pico.Question, Pico.Greedy).ToChatResponseAsync();
        Assert.Contains(log.Lines, line => line.Contains("seven", StringComparison.Ordinal));
    }

    [Fact]
    public async Task All_Together_GiveTheSameAnswer()
    {
        IDistributedCache cache = new MemoryDistributedCache(Options.Create(new MemoryDistributedCacheOptions()));
        using IChatClient client = new VicunaChatClient(pico.Engine).AsBuilder()
            .UseDistributedCache(cache).UseFunctionInvocation().UseOpenTelemetry().UseLogging(new LinesLogger()).Build();
        Assert.Equal(Pico.Answer, (await client.GetResponseAsync(Pico.Question, Pico.Greedy)).Text);
        Assert.Equal(Pico.Answer, (await client.GetStreamingResponseAsync(Pico.Question, Pico.Greedy).ToChatResponseAsync()).Text);
    }

    [Fact]
    public async Task Embeddings_UnderCachingAndTelemetry_AreTheSame()
    {
        IDistributedCache cache = new MemoryDistributedCache(Options.Create(new MemoryDistributedCacheOptions()));
        using IEmbeddingGenerator<string, Embedding<float>> generator = new VicunaEmbeddingGenerator(pico.Engine).AsBuilder()
            .UseDistributedCache(cache).UseOpenTelemetry().UseLogging(new LinesLogger()).Build();
        float[] first = (await generator.GenerateVectorAsync("a")).ToArray();
        Assert.Equal(pico.Model.Embed("a").Vector, first);
        Assert.Equal(first, (await generator.GenerateVectorAsync("a")).ToArray());
    }
}
