using System.Diagnostics;
using System.Globalization;

namespace Vicuna.Managed.LoadTest;

/// <summary>Streams that ask one question after another for a while.</summary>
internal static class Measurement
{
    /// <summary>Measures with each number of streams and prints a line for each.</summary>
    /// <returns>0 where every answer was as it must be.</returns>
    public static async Task<int> RunAsync(
        LoadClient client, QuestionSet questions, IReadOnlyList<int> streams, TimeSpan time, int maxTokens, CancellationToken cancellationToken)
    {
        // Compiled code, caches and pages as a running server has them.
        await OneAsync(client, questions, 4, TimeSpan.FromSeconds(Math.Min(5, time.TotalSeconds)), maxTokens, cancellationToken);
        Console.WriteLine("| streams | answers | refused | wrong | prompt tokens/s | tokens/s | first token p50 | p99 | longest |");
        Console.WriteLine("|---|---|---|---|---|---|---|---|---|");
        int wrong = 0;
        foreach (int count in streams)
        {
            (Answer[] answers, int different, TimeSpan taken) = await OneAsync(client, questions, count, time, maxTokens, cancellationToken);
            Answer[] done = [.. answers.Where(answer => answer.Status == 200)];
            wrong += different;
            double[] first = [.. done.Select(answer => answer.FirstToken.TotalSeconds).Where(seconds => seconds > 0).Order()];
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"| {count} | {done.Length} | {answers.Length - done.Length} | {different} | {done.Sum(answer => answer.PromptTokens) / taken.TotalSeconds:0} | {done.Sum(answer => answer.Tokens) / taken.TotalSeconds:0.0} | {Quantile(first, 0.5):0.000} s | {Quantile(first, 0.99):0.000} s | {first.LastOrDefault():0.000} s |"));
        }

        (int right, int asked) = questions.Known();
        Console.WriteLine($"{right} of {asked} questions had the answer that their file gives.");
        return wrong == 0 ? 0 : 1;
    }

    /// <summary>A quantile of sorted numbers; 0 of none.</summary>
    public static double Quantile(double[] sorted, double share) => sorted.Length == 0 ? 0 : sorted[(int)Math.Min(sorted.Length - 1, Math.Ceiling(share * sorted.Length))];

    private static async Task<(Answer[] Answers, int Different, TimeSpan Taken)> OneAsync(
        LoadClient client, QuestionSet questions, int streams, TimeSpan time, int maxTokens, CancellationToken cancellationToken)
    {
        List<Answer> answers = [];
        int next = 0;
        int different = 0;
        long start = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, streams).Select(_ => AskOnAsync()));
        return ([.. answers], different, Stopwatch.GetElapsedTime(start));

        async Task AskOnAsync()
        {
            while (Stopwatch.GetElapsedTime(start) < time)
            {
                string question = questions.Question(Interlocked.Increment(ref next));
                Answer answer = await client.AskAsync(question, maxTokens, null, cancellationToken);
                lock (answers)
                {
                    answers.Add(answer);
                    different += answer.Status == 200 && !questions.IsTheSame(question, answer.Text) ? 1 : 0;
                }

                if (answer.Status != 200)
                {
                    await Task.Delay(TimeSpan.FromSeconds(1), cancellationToken);
                }
            }
        }
    }
}
