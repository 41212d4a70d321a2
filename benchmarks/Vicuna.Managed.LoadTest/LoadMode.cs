using System.Collections.Concurrent;
using System.Diagnostics;

namespace Vicuna.Managed.LoadTest;

/// <summary>Streams that ask one question after another for a while: how fast, how soon, how often refused.</summary>
internal sealed class LoadMode(LoadServer server, QuestionSet questions, TimeSpan time, int mostRequests)
{
    // Between a refusal and the next question of a client that does not care how long it is asked to wait.
    private static readonly TimeSpan Breath = TimeSpan.FromMilliseconds(100);

    /// <summary>Measures with each number of streams: as clients that take a refusal for an answer, and, if there were any, as ones that try again.</summary>
    public async Task RunAsync(IReadOnlyList<int> streams, Report report, CancellationToken cancellationToken)
    {
        using LoadClient client = new(server.Url);
        int known = await questions.LearnAsync(client, cancellationToken);

        // Compiled code, caches and pages as a running server has them.
        await MeasureAsync(client, 4, retry: false, TimeSpan.FromSeconds(Math.Min(5, time.TotalSeconds)), cancellationToken);
        int wrong = 0;
        int broken = 0;
        int answered = 0;
        foreach (int count in streams)
        {
            Outcome outcome = await MeasureAsync(client, count, retry: false, time, cancellationToken);
            Add(count, "no", outcome);
            if (outcome.Refused429 + outcome.Refused503 > 0)
            {
                Add(count, "yes", await MeasureAsync(client, count, retry: true, time, cancellationToken));
            }
        }

        (int status, _) = await client.GetAsync("/health", cancellationToken);
        report.Check(
            "every answer is the one that the question has alone", wrong == 0,
            $"{wrong} of {answered} are not; alone, {known} of {questions.Count} are the file's");
        report.Check("nothing but answers and refusals", broken == 0, $"{broken} others");
        report.Check("the server is healthy afterwards", status == 200, $"status {status}");

        void Add(int count, string retry, Outcome outcome)
        {
            wrong += outcome.Wrong;
            broken += outcome.Broken;
            answered += outcome.Answers.Count;
            double seconds = outcome.Time.TotalSeconds;
            double[] first = [.. outcome.FirstTokens];
            double[] gaps = [.. outcome.Answers.SelectMany(answer => answer.Gaps)];
            report.Row(
                ("streams", count, "0"), ("tries again", retry, ""), ("answers", outcome.Answers.Count, "0"),
                ("429", outcome.Refused429, "0"), ("503", outcome.Refused503, "0"), ("other", outcome.Broken, "0"), ("wrong", outcome.Wrong, "0"),
                ("prompt tokens/s", outcome.Answers.Sum(answer => answer.PromptTokens) / seconds, "0"),
                ("tokens/s", outcome.Answers.Sum(answer => answer.Tokens) / seconds, "0.0"),
                ("first token p50 ms", 1000 * Quantiles.Of(first, 0.5), "0.0"), ("p99 ms", 1000 * Quantiles.Of(first, 0.99), "0.0"),
                ("next token p50 ms", 1000 * Quantiles.Of(gaps, 0.5), "0.00"), ("its p99 ms", 1000 * Quantiles.Of(gaps, 0.99), "0.00"));
        }
    }

    private async Task<Outcome> MeasureAsync(LoadClient client, int streams, bool retry, TimeSpan limit, CancellationToken cancellationToken)
    {
        Outcome outcome = new();
        int asked = 0;
        long start = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, streams).Select(_ => AskOnAsync()));
        outcome.Time = Stopwatch.GetElapsedTime(start);
        return outcome;

        bool IsOver() => Stopwatch.GetElapsedTime(start) >= limit;

        async Task AskOnAsync()
        {
            while (!IsOver() && Interlocked.Increment(ref asked) is var number && number <= mostRequests)
            {
                Question question = questions[number];
                long first = Stopwatch.GetTimestamp();
                try
                {
                    Answer answer = await client.AskAsync(question, cancellationToken);
                    while (retry && answer.IsRefused && !IsOver())
                    {
                        outcome.Count(answer);
                        await Task.Delay(answer.RetryAfter, cancellationToken);
                        answer = await client.AskAsync(question, cancellationToken);
                    }

                    outcome.Add(answer, first, answer.Status == 200 && !questions.IsRight(question.Text, answer.Text));
                    if (answer.IsRefused)
                    {
                        await Task.Delay(Breath, cancellationToken);
                    }
                }
                catch (Exception exception) when (exception is HttpRequestException or IOException or InvalidDataException or TimeoutException)
                {
                    outcome.Break();
                    Console.Error.WriteLine(exception.Message);
                    await Task.Delay(Breath, cancellationToken);
                }
            }
        }
    }

    private sealed class Outcome
    {
        private int _refused429;
        private int _refused503;
        private int _broken;
        private int _wrong;

        public ConcurrentBag<Answer> Answers { get; } = [];

        // From the first time that the question was asked, refusals included.
        public ConcurrentBag<double> FirstTokens { get; } = [];

        public int Refused429 => _refused429;

        public int Refused503 => _refused503;

        public int Broken => _broken;

        public int Wrong => _wrong;

        public TimeSpan Time { get; set; }

        public void Break() => Interlocked.Increment(ref _broken);

        public void Count(Answer refusal) => Interlocked.Increment(ref refusal.Status == 429 ? ref _refused429 : ref _refused503);

        public void Add(Answer answer, long firstAsked, bool isWrong)
        {
            if (answer.IsRefused)
            {
                Count(answer);
            }
            else if (answer.Status != 200)
            {
                Break();
            }
            else
            {
                Answers.Add(answer);
                _ = isWrong ? Interlocked.Increment(ref _wrong) : 0;
                FirstTokens.Add(Stopwatch.GetElapsedTime(firstAsked, answer.Pieces.Count > 0 ? answer.Pieces[0] : answer.End).TotalSeconds);
            }
        }
    }
}
