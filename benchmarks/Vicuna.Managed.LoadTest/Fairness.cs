using System.Diagnostics;

namespace Vicuna.Managed.LoadTest;

/// <summary>
/// What a neighbour's long prompt does to the others: to the gaps of an answer that is running, and to the first token of a short question that comes while
/// the prompt is worked on. In units of what one chunk of a prompt takes, which a running answer may wait for.
/// </summary>
internal sealed class Fairness(LoadServer server, int promptTokens, int chunkTokens, int rounds, double tolerance)
{
    private const int ShortAnswer = 1;
    private const int Words = 100;
    private const int PiecesBefore = 16;
    private const int PromptsAlone = 5;

    private static readonly TimeSpan WarmUp = TimeSpan.FromSeconds(3);

    private int _number;

    /// <summary>Measures.</summary>
    public async Task RunAsync(Report report, CancellationToken cancellationToken)
    {
        using LoadClient client = new(server.Url);
        // An eighth of a short context is left for the template and the answer.
        int target = Math.Min(promptTokens, server.ContextLength - (server.ContextLength / 8));
        int words = await WordsForAsync(client, target, cancellationToken);
        // Code that is not compiled yet would make the unit too large.
        long start = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(start) < WarmUp)
        {
            await AskAsync(client, words, cancellationToken);
        }

        List<double> chunks = [];
        int tokens = 0;
        for (int i = 0; i < PromptsAlone; i++)
        {
            Answer alone = await AskAsync(client, words, cancellationToken);
            tokens = alone.PromptTokens;
            chunks.Add((alone.FirstToken ?? throw new InvalidDataException("The long prompt was answered with nothing.")) * chunkTokens / tokens);
        }

        double chunk = Quantiles.Of(chunks, 0.5);
        Console.WriteLine($"A prompt of {tokens} tokens alone: {1000 * chunk:0.0} ms for each chunk of {chunkTokens}.\n");
        List<Round> measured = [];
        for (int i = 0; i < rounds; i++)
        {
            Round round = await RoundAsync(client, words, chunk * tokens / chunkTokens, cancellationToken);
            measured.Add(round);
            report.Row(
                ("round", i + 1, "0"), ("chunk ms", 1000 * chunk, "0.0"), ("gap p50 ms", 1000 * round.UsualGap, "0.00"),
                ("longest gap before ms", 1000 * round.LongestAlone, "0.0"), ("with neighbour ms", 1000 * round.LongestBeside, "0.0"),
                ("gap: more chunks", round.MoreGap / chunk, "0.00"), ("first token before ms", 1000 * round.FirstAlone, "0.0"),
                ("its with neighbour ms", 1000 * round.FirstBeside, "0.0"), ("first token: more chunks", round.MoreFirst / chunk, "0.00"));
        }

        double limit = 1 + tolerance;
        Check("the longest gap of a running answer grows", measured.Select(round => round.MoreGap));
        Check("the first token of a short question comes later", measured.Select(round => round.MoreFirst));

        void Check(string what, IEnumerable<double> more)
        {
            double median = Quantiles.Of(more, 0.5) / chunk;
            // A round that measured nothing is NaN, and no number is at most the limit.
            report.Check(
                FormattableString.Invariant($"{what} by one chunk at most, {limit:0.##} with tolerance (median)"), median <= limit,
                FormattableString.Invariant($"{median:0.00} chunks"));
        }
    }

    private async Task<Round> RoundAsync(LoadClient client, int words, double prefill, CancellationToken cancellationToken)
    {
        using CancellationTokenSource leave = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        List<(int Answer, long Time)> pieces = [];
        Task running = KeepRunningAsync();
        try
        {
            await UntilAsync(PiecesBefore);
            long begin = Stopwatch.GetTimestamp();
            // As long as the neighbour will take: of twice as many gaps the longest would be longer.
            await Task.Delay(TimeSpan.FromSeconds(Math.Max(prefill, 0.1)), cancellationToken);
            long quiet = Stopwatch.GetTimestamp();
            Answer alone = await AskAsync(client, 1, cancellationToken);
            await UntilAsync(Count() + PiecesBefore);

            long arrival = Stopwatch.GetTimestamp();
            Task<Answer> neighbour = AskAsync(client, words, cancellationToken);
            await Task.Delay(TimeSpan.FromSeconds(prefill / 4), cancellationToken);
            Answer beside = await AskAsync(client, 1, cancellationToken);
            Answer last = await neighbour;
            long end = last.Pieces.Count > 0 ? last.Pieces[0] : last.End;
            await UntilAsync(Count() + 1);

            double[] before = [.. GapsBetween(begin, quiet)];
            double[] during = [.. GapsBetween(arrival, end)];
            return new Round(
                Quantiles.Of(before, 0.5), Quantiles.Of(before, 1), Quantiles.Of(during, 1), alone.FirstToken ?? double.NaN, beside.FirstToken ?? double.NaN);
        }
        finally
        {
            await leave.CancelAsync();
            await running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        async Task KeepRunningAsync()
        {
            for (int answer = 0; ; answer++)
            {
                int current = answer;
                Question question = new($"{Next()}: tell me a long story.", server.ContextLength / 2)
                {
                    MayEnd = false,
                    Arrived = time =>
                    {
                        lock (pieces)
                        {
                            pieces.Add((current, time));
                        }
                    },
                };
                Answer ended = await client.AskAsync(question, leave.Token);
                if (ended.Status != 200)
                {
                    throw new InvalidDataException($"The running question was answered with status {ended.Status}.");
                }
            }
        }

        int Count()
        {
            lock (pieces)
            {
                return pieces.Count;
            }
        }

        async Task UntilAsync(int count)
        {
            while (Count() < count)
            {
                if (running.IsCompleted)
                {
                    await running;
                }

                await Task.Delay(1, cancellationToken);
            }
        }

        // Gaps that overlap a time, of one answer each.
        IEnumerable<double> GapsBetween(long from, long to)
        {
            lock (pieces)
            {
                return [.. pieces.Zip(pieces.Skip(1))
                    .Where(pair => pair.First.Answer == pair.Second.Answer && pair.Second.Time > from && pair.First.Time < to)
                    .Select(pair => Stopwatch.GetElapsedTime(pair.First.Time, pair.Second.Time).TotalSeconds)];
            }
        }
    }

    // No two prompts begin alike: what the server has seen before it need not compute again.
    private int Next() => Interlocked.Increment(ref _number) + (Environment.ProcessId * 1000);

    private async Task<Answer> AskAsync(LoadClient client, int words, CancellationToken cancellationToken)
    {
        Question question = new($"{Next()}{string.Concat(Enumerable.Repeat(" word", words))}", ShortAnswer) { MayEnd = false };
        Answer answer = await client.AskAsync(question, cancellationToken);
        return answer.Status == 200 ? answer : throw new InvalidDataException($"A prompt of {words} words was answered with status {answer.Status}.");
    }

    // A word's tokens and the template's are the tokenizer's matter: two prompts tell.
    private async Task<int> WordsForAsync(LoadClient client, int tokens, CancellationToken cancellationToken)
    {
        int few = (await AskAsync(client, 1, cancellationToken)).PromptTokens;
        int many = (await AskAsync(client, Words, cancellationToken)).PromptTokens;
        return Math.Max(1, (int)((tokens - few) * (double)(Words - 1) / (many - few)));
    }

    // Seconds.
    private sealed record Round(double UsualGap, double LongestAlone, double LongestBeside, double FirstAlone, double FirstBeside)
    {
        public double MoreGap => LongestBeside - LongestAlone;

        public double MoreFirst => FirstBeside - FirstAlone;
    }
}
