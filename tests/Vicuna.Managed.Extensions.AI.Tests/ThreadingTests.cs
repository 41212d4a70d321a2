using Microsoft.Extensions.AI;
using Vicuna.Managed.Extensions.AI.Tests.Support;

namespace Vicuna.Managed.Extensions.AI.Tests;

/// <summary>Threads: callers' do not compute, and many callers do not disturb each other.</summary>
public sealed class ThreadingTests(Pico pico)
{
    [Fact]
    public async Task Call_OnAUserInterfacesThread_NeitherComputesOnItNorNeedsIt()
    {
        (VicunaChatClient client, RecordingFormatter seen) = Pico.Recording();
        using LanguageModel model = (LanguageModel)client.GetService(typeof(LanguageModel))!;
        using (client)
        {
            (int thread, string text) = await SingleThread.RunAsync(() =>
            {
                // The thread is blocked until the answer is there: what needed it would hang.
                Task<ChatResponse> answer = client.GetResponseAsync(Pico.Question, Pico.Greedy);
                Assert.True(answer.Wait(TimeSpan.FromMinutes(1)), "The answer needs the thread that waits for it.");
                return Task.FromResult((Environment.CurrentManagedThreadId, answer.Result.Text));
            });
            Assert.Equal(Pico.Answer, text);
            Assert.NotEmpty(seen.Threads);
            Assert.DoesNotContain(thread, seen.Threads);
        }
    }

    [Fact]
    public async Task Updates_OnAUserInterfacesThread_ArriveOnIt()
    {
        (int thread, List<int> threads, string text) = await SingleThread.RunAsync(async () =>
        {
            int own = Environment.CurrentManagedThreadId;
            List<int> seen = [];
            string words = "";
            await foreach (ChatResponseUpdate update in pico.Client.GetStreamingResponseAsync(Pico.Question, Pico.Greedy))
            {
                seen.Add(Environment.CurrentManagedThreadId);
                words += update.Text;
            }

            return (own, seen, words);
        });
        Assert.Equal(Pico.Answer, text);
        Assert.True(threads.Count > 3);
        Assert.All(threads, arrived => Assert.Equal(thread, arrived));
    }

    [Fact]
    public async Task Callers_SixteenAtATime_GetWhatEachGetsAlone()
    {
        string[] questions = [.. Enumerable.Range(0, 16).Select(i => $"What is {i % 10} plus {(i * 3) % 10}?")];
        ChatOptions Options(int i) => new() { Temperature = i % 2 == 0 ? 0 : 0.9f, Seed = i, Instructions = i % 3 == 0 ? "Be brief." : null };
        List<string> alone = [];
        for (int i = 0; i < questions.Length; i++)
        {
            alone.Add((await pico.Client.GetResponseAsync(questions[i], Options(i))).Text);
        }

        Assert.True(alone.Distinct().Count() > 5, "The questions have too few different answers to show anything.");
        ChatResponse[] together = await Task.WhenAll(questions.Select((question, i) => i % 4 == 0
            ? pico.Client.GetStreamingResponseAsync(question, Options(i)).ToChatResponseAsync()
            : pico.Client.GetResponseAsync(question, Options(i))));
        Assert.Equal(alone, together.Select(response => response.Text));
        Assert.Equal(16, together.Select(response => response.ResponseId).Distinct().Count());
    }
}
