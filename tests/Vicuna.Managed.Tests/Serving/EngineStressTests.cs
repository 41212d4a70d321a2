using Vicuna.Managed.Kernels.Ops;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.Serving;

/// <summary>Everything at once, from many threads.</summary>
[Collection(nameof(AloneInTheProcess))]
public sealed class EngineStressTests
{
    [Fact]
    public async Task Engine_UnderRandomUseFromManyThreads_LosesNothingAndAnswersRight()
    {
        long live = KvPage.Live;
        TinyModel tiny = new(new TinyShape { Context = 320 });
        using LanguageModel model = tiny.Load(new LoadOptions { Threads = 3 });
        long page = model.Info.KeyValueBytesPerToken * 64;
        GenerationOptions[] options = [.. Enumerable.Range(0, 6).Select(i => new GenerationOptions { Temperature = i % 2, Seed = i, MaxNewTokens = 1 + (i * 23), IgnoreEndOfSequence = true })];
        int[][] prompts = [.. Enumerable.Range(0, 12).Select(i => (int[])[.. tiny.RandomTokens(50 * (i % 4), 1), .. tiny.RandomTokens(1 + (i * 9), i)])];
        IReadOnlyList<int>[,] expected = new IReadOnlyList<int>[prompts.Length, options.Length];
        for (int p = 0; p < prompts.Length; p++)
        {
            for (int o = 0; o < options.Length; o++)
            {
                expected[p, o] = model.Generate(prompts[p], options[o], TestContext.Current.CancellationToken).TokenIds;
            }
        }

        int completed = 0;
        int refused = 0;
        await using (InferenceEngine engine = new(model, new EngineOptions { MaxConcurrentRequests = 5, MaxQueuedRequests = 5, KeyValueMemoryBytes = 14 * page, PrefillChunkTokens = 16 }))
        {
            await Task.WhenAll(Enumerable.Range(0, 16).Select(thread => Task.Factory.StartNew(() => Use(thread).GetAwaiter().GetResult(), TaskCreationOptions.LongRunning)))
                .WaitAsync(TimeSpan.FromSeconds(120), TestContext.Current.CancellationToken);
            await engine.DrainAsync(TestContext.Current.CancellationToken);
            EngineStatus status = engine.GetStatus();
            Assert.Equal((0, 0, 0L, true), (status.ActiveRequests, status.QueuedRequests, status.KeyValueBytesActive, status.IsHealthy));
            Assert.Equal(status.KeyValueBytesCached, (KvPage.Live - live) * page);
            Assert.Equal(refused, status.TotalRejected);
            Assert.True(completed > 100, $"{completed} completed, {refused} refused");

            async Task Use(int thread)
            {
                Random random = new(thread);
                for (int i = 0; i < 40; i++)
                {
                    int p = random.Next(prompts.Length);
                    int o = random.Next(options.Length);
                    using CancellationTokenSource stop = new();
                    try
                    {
                        RequestOptions how = new() { Priority = (RequestPriority)random.Next(3), TimeLimit = random.Next(8) == 0 ? TimeSpan.FromMilliseconds(random.Next(1, 30)) : null };
                        await using InferenceRequest request = await engine.SubmitAsync(prompts[p], options[o], how, stop.Token);
                        int action = random.Next(6);
                        if (action == 0)
                        {
                            stop.CancelAfter(random.Next(15));
                        }

                        int pieces = 0;
                        await foreach (GenerationChunk piece in request.ReadAsync())
                        {
                            if (action == 1 && pieces++ > random.Next(10))
                            {
                                break;
                            }

                            if (piece.Result is { } result)
                            {
                                Assert.Equal(expected[p, o].Take(result.TokenIds.Count), result.TokenIds);
                                Assert.True(result.TokenIds.Count == expected[p, o].Count || result.FinishReason == FinishReason.TimeLimit);
                                Interlocked.Increment(ref completed);
                            }
                        }
                    }
                    catch (EngineOverloadedException)
                    {
                        Interlocked.Increment(ref refused);
                        await Task.Delay(random.Next(10), CancellationToken.None);
                    }
                    catch (Exception exception) when (exception is OperationCanceledException or TimeoutException)
                    {
                        // As was asked for.
                    }
                }
            }
        }

        Assert.Equal(live, KvPage.Live);
    }
}
