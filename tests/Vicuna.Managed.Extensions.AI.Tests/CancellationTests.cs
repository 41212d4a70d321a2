using Microsoft.Extensions.AI;
using Vicuna.Managed.Extensions.AI.Tests.Support;

namespace Vicuna.Managed.Extensions.AI.Tests;

/// <summary>Cancellation, wherever a request is, frees its place.</summary>
public sealed class CancellationTests(Pico pico)
{
    [Fact]
    public async Task Cancelled_BeforeTheCall_NeverReachesTheEngine()
    {
        using InferenceEngine engine = new(pico.Model);
        using VicunaChatClient client = new(engine);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => client.GetResponseAsync(Pico.Question, cancellationToken: new CancellationToken(canceled: true)));
        Assert.Equal(0, engine.GetStatus().TotalRequests);
    }

    [Fact]
    public async Task Cancelled_WhileWaiting_LeavesTheQueue()
    {
        using InferenceEngine engine = new(pico.Model, new EngineOptions { MaxConcurrentRequests = 1, MaxQueuedRequests = 100 });
        using VicunaChatClient client = new(engine);
        using CancellationTokenSource others = new();
        Task[] before = [.. Enumerable.Range(0, 12).Select(_ => Ended(client.GetResponseAsync(Pico.Question, Pico.GreedyOf(400), others.Token)))];
        await UntilAsync(() => engine.GetStatus() is { ActiveRequests: 1, QueuedRequests: 11 });
        using CancellationTokenSource own = new();
        Task<ChatResponse> waiting = client.GetResponseAsync(Pico.Question, Pico.GreedyOf(400), own.Token);
        await UntilAsync(() => engine.GetStatus().TotalRequests == 13);
        await own.CancelAsync();
        OperationCanceledException error = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        Assert.Equal(own.Token, error.CancellationToken);
        await others.CancelAsync();
        await Task.WhenAll(before).WaitAsync(TimeSpan.FromMinutes(1));
        await UntilAsync(() => engine.GetStatus() is { ActiveRequests: 0, QueuedRequests: 0 });
    }

    [Fact]
    public async Task Cancelled_BetweenTokens_EndsTheStreamAndFreesThePlace()
    {
        using InferenceEngine engine = new(pico.Model);
        using VicunaChatClient client = new(engine);
        using CancellationTokenSource stop = new();
        int updates = 0;
        OperationCanceledException error = await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (ChatResponseUpdate update in client.GetStreamingResponseAsync(Pico.Question, Pico.GreedyOf(400), stop.Token))
            {
                Assert.Null(update.FinishReason);
                if (++updates == 2)
                {
                    await stop.CancelAsync();
                }
            }
        });
        Assert.Equal(stop.Token, error.CancellationToken);
        Assert.Equal(2, updates);
        Assert.Equal(0, engine.GetStatus().ActiveRequests);
        Assert.Equal(1, engine.GetStatus().TotalCancelled);
    }

    [Fact]
    public async Task Cancelled_ByTheEnumeratorsToken_EndsTheStreamToo()
    {
        using CancellationTokenSource stop = new();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (ChatResponseUpdate update in pico.Client.GetStreamingResponseAsync(Pico.Question, Pico.GreedyOf(400)).WithCancellation(stop.Token))
            {
                await stop.CancelAsync();
            }
        });
    }

    [Fact]
    public async Task Stream_LeftEarly_FreesThePlace()
    {
        using InferenceEngine engine = new(pico.Model);
        using VicunaChatClient client = new(engine);
        await foreach (ChatResponseUpdate update in client.GetStreamingResponseAsync(Pico.Question, Pico.GreedyOf(400)))
        {
            break;
        }

        Assert.Equal(0, engine.GetStatus().ActiveRequests);
        Assert.Equal(Pico.Answer, (await client.GetResponseAsync(Pico.Question, Pico.Greedy)).Text);
    }

    [Fact]
    public async Task Stream_NeverRead_AsksNothing()
    {
        using InferenceEngine engine = new(pico.Model);
        using VicunaChatClient client = new(engine);
        _ = client.GetStreamingResponseAsync(Pico.Question);
        await client.GetResponseAsync(Pico.Question, Pico.GreedyOf(1));
        Assert.Equal(1, engine.GetStatus().TotalRequests);
    }

    [Fact]
    public async Task Refusal_OfTheEngine_SurfacesAsItIs()
    {
        using InferenceEngine engine = new(pico.Model);
        using VicunaChatClient client = new(engine);
        await engine.DrainAsync();
        EngineOverloadedException error = await Assert.ThrowsAsync<EngineOverloadedException>(() => client.GetResponseAsync(Pico.Question));
        Assert.Equal(OverloadReason.Draining, error.Reason);
    }

    internal static async Task UntilAsync(Func<bool> holds)
    {
        for (int i = 0; !holds(); i++)
        {
            Assert.True(i < 6000, "What was waited for has not come within a minute.");
            await Task.Delay(10);
        }
    }

    private static async Task Ended(Task task) => await task.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
}
