using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace Vicuna.Managed.LoadTest;

/// <summary>Minutes of everything that clients do, the impolite ones included; afterwards nothing may be left of it.</summary>
internal sealed class Soak(LoadServer server, QuestionSet questions, TimeSpan time, double mostGrowth)
{
    private const string Answered = "answered";
    private const string Wrong = "answered wrongly";
    private const string Unexpected = "unexpected: ";
    private const int Clients = 24;
    private const int MostFilesLeft = 16;
    private const int MostThreadsLeft = 16;
    private const int Oversize = 6 << 20;

    // What the server's limits of 4 MiB and of the context must not let in.
    private static readonly string TooLong = string.Concat(Enumerable.Repeat("far too long ", 20_000));

    private static readonly string[] ZeroWhenIdle =
    [
        "vicuna_active_requests", "vicuna_queued_requests", "vicuna_kv_active_bytes", "vicuna_requests_in_progress",
    ];

    private static readonly string[] Told =
    [
        "vicuna_accepted_total", "vicuna_rejected_total", "vicuna_cancelled_total", "vicuna_failed_total",
        "vicuna_generated_tokens_total", "vicuna_kv_cached_bytes", "vicuna_kv_capacity_bytes",
    ];

    private static readonly TimeSpan LongestWarmUp = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan Settling = TimeSpan.FromSeconds(10);

    private readonly ConcurrentDictionary<string, int> _outcomes = [];

    /// <summary>Runs.</summary>
    public async Task RunAsync(Report report, CancellationToken cancellationToken)
    {
        int known = 0;
        using (LoadClient alone = new(server.Url))
        {
            known = await questions.LearnAsync(alone, cancellationToken);
        }

        // The same mix before the first look: what a server takes once, it may keep.
        TimeSpan warmUp = time / 5 < LongestWarmUp ? time / 5 : LongestWarmUp;
        await MixAsync(0, warmUp, _ => { }, cancellationToken);
        await SettleAsync(cancellationToken);
        ServerProcess? before = server.Look();
        Tell("warmed up", TimeSpan.Zero);
        await MixAsync(1, time, elapsed => Tell("running", elapsed), cancellationToken);
        Dictionary<string, double> metrics = await SettleAsync(cancellationToken);
        ServerProcess? after = server.Look();
        Tell("afterwards", time);

        Console.WriteLine();
        foreach ((string outcome, int count) in _outcomes.OrderBy(pair => pair.Key, StringComparer.Ordinal))
        {
            Console.WriteLine($"- {count} {outcome}");
        }

        foreach (string name in Told)
        {
            Console.WriteLine($"- {name} {metrics.GetValueOrDefault(name, double.NaN)}");
        }

        int right = _outcomes.GetValueOrDefault(Answered);
        int wrong = _outcomes.GetValueOrDefault(Wrong);
        string[] unexpected = [.. _outcomes.Keys.Where(key => key.StartsWith(Unexpected, StringComparison.Ordinal))];
        report.Check(
            "every completed answer is the one that the question has alone", wrong == 0 && right > 0,
            $"{right} are, {wrong} are not; alone, {known} of {questions.Count} are the file's");
        report.Check(
            "every other outcome is one that its request must have", unexpected.Length == 0,
            unexpected.Length == 0 ? "all are" : string.Join("; ", unexpected));
        foreach (string name in ZeroWhenIdle)
        {
            double found = metrics.GetValueOrDefault(name, double.NaN);
            report.Check($"{name} is 0 when all clients have left", found == 0, found.ToString(CultureInfo.InvariantCulture));
        }

        using LoadClient last = new(server.Url);
        (int status, string health) = await last.GetAsync("/health", cancellationToken);
        report.Check("the server is healthy", status == 200, health);
        int changed = await questions.RepeatAsync(last, cancellationToken);
        report.Check("every question alone has its answer still", changed == 0, $"{changed} have not");
        if (before is null || after is null)
        {
            Console.WriteLine("- memory, threads and files: not known without --server-process");
            return;
        }

        double growth = after.ResidentMegabytes - before.ResidentMegabytes;
        report.Check(
            $"resident memory grew by {mostGrowth:0} MB at most", growth <= mostGrowth,
            $"{before.ResidentMegabytes:0} to {after.ResidentMegabytes:0} MB");
        report.Check($"{MostThreadsLeft} threads more at most", after.Threads <= before.Threads + MostThreadsLeft, $"{before.Threads} to {after.Threads}");
        if (before.Files is { } first && after.Files is { } then)
        {
            report.Check($"{MostFilesLeft} open files more at most", then <= first + MostFilesLeft, $"{first} to {then}");
        }

        void Tell(string when, TimeSpan elapsed)
        {
            ServerProcess? now = server.Look();
            report.Row(
                ("when", when, ""), ("minutes", elapsed.TotalMinutes, "0.0"), ("requests", _outcomes.Values.Sum(), "0"),
                ("answered", _outcomes.GetValueOrDefault(Answered), "0"), ("wrong", _outcomes.GetValueOrDefault(Wrong), "0"),
                ("resident MB", now?.ResidentMegabytes ?? double.NaN, "0"), ("threads", now?.Threads ?? double.NaN, "0"),
                ("files", now?.Files ?? double.NaN, "0"));
        }
    }

    private async Task MixAsync(int seed, TimeSpan length, Action<TimeSpan> tell, CancellationToken cancellationToken)
    {
        using LoadClient client = new(server.Url);
        long start = Stopwatch.GetTimestamp();
        IEnumerable<Random> dice = Enumerable.Range(seed * Clients, Clients).Select(number => new Random(number));
        Task all = Task.WhenAll(dice.Select(random => UseAsync(client, random, start, length, cancellationToken)));
        TimeSpan step = length / 10 < LongestWarmUp ? length / 10 : LongestWarmUp;
        for (TimeSpan next = step; next < length; next += step)
        {
            TimeSpan wait = next - Stopwatch.GetElapsedTime(start);
            await Task.WhenAny(all, Task.Delay(wait > TimeSpan.Zero ? wait : TimeSpan.Zero, cancellationToken));
            if (all.IsCompleted)
            {
                break;
            }

            tell(Stopwatch.GetElapsedTime(start));
        }

        await all;
    }

    private async Task UseAsync(LoadClient client, Random random, long start, TimeSpan length, CancellationToken cancellationToken)
    {
        while (Stopwatch.GetElapsedTime(start) < length)
        {
            string outcome;
            try
            {
                outcome = await OnceAsync(client, random, cancellationToken);
            }
            catch (Exception exception) when (exception is HttpRequestException or IOException or InvalidDataException or TimeoutException)
            {
                outcome = $"{Unexpected}{exception.Message}";
            }

            _outcomes.AddOrUpdate(outcome, 1, (_, count) => count + 1);
            if (outcome.Contains("refused", StringComparison.Ordinal))
            {
                // Not as long as the server asks for: it is to be under load all the time.
                await Task.Delay(random.Next(100), cancellationToken);
            }
        }
    }

    private async Task<string> OnceAsync(LoadClient client, Random random, CancellationToken cancellationToken)
    {
        Question question = questions[random.Next()];
        switch (random.Next(20))
        {
            case 0 or 1:
                using (CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken))
                {
                    stop.CancelAfter(random.Next(1, 200));
                    try
                    {
                        return Judge(question, await client.AskAsync(question, stop.Token));
                    }
                    catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
                    {
                        return "cancelled by the client";
                    }
                }

            case 2 or 3:
                Answer left = await client.AskAsync(question with { LeaveAfter = random.Next(1, 5) }, cancellationToken);
                return left.Status == 0 ? "left during the answer" : Judge(question, left);
            case 4 or 5:
                // Some of them are still right.
                return Among("malformed", await client.PostAsync("/v1/chat/completions", Malformed(random), cancellationToken), 400, 404, 200);
            case 6:
                return Among("longer than the context", (await client.AskAsync(new Question(TooLong, 8), cancellationToken)).Status, 400);
            case 7 when random.Next(5) == 0:
                try
                {
                    return Among("oversize", await client.PostAsync("/v1/chat/completions", new byte[Oversize], cancellationToken), 413);
                }
                catch (HttpRequestException)
                {
                    // The server need not read what it refuses.
                    return "oversize: the connection was closed";
                }

            case 8:
                byte[] body = JsonSerializer.SerializeToUtf8Bytes(new { input = new[] { question.Text, "b" }, encoding_format = "base64" });
                return Among("embeddings", await client.PostAsync("/v1/embeddings", body, cancellationToken), 200);
            default:
                return Judge(question, await client.AskAsync(question, cancellationToken));
        }
    }

    private string Judge(Question question, Answer answer) => answer.Status != 200
        ? Among("question", answer.Status)
        : questions.IsRight(question.Text, answer.Text) ? Answered : Wrong;

    private static string Among(string kind, int status, params ReadOnlySpan<int> expected) =>
        status is 429 or 503 ? $"{kind}: refused with {status}" : expected.Contains(status) ? $"{kind}: {status}" : $"{Unexpected}{kind}: {status}";

    // Until nothing moves any more, or it has had its time: what is left then is left.
    private async Task<Dictionary<string, double>> SettleAsync(CancellationToken cancellationToken)
    {
        long start = Stopwatch.GetTimestamp();
        for (; ; )
        {
            // Connections that are closed and not yet forgotten are no leak.
            await Task.Delay(TimeSpan.FromSeconds(1), cancellationToken);
            Dictionary<string, double> metrics = await MetricsAsync(cancellationToken);
            if (ZeroWhenIdle.All(name => metrics.GetValueOrDefault(name, double.NaN) == 0) || Stopwatch.GetElapsedTime(start) > Settling)
            {
                await Task.Delay(TimeSpan.FromSeconds(1), cancellationToken);
                return metrics;
            }
        }
    }

    private async Task<Dictionary<string, double>> MetricsAsync(CancellationToken cancellationToken)
    {
        using LoadClient client = new(server.Url);
        Dictionary<string, double> found = [];
        foreach (string line in (await client.GetAsync("/metrics", cancellationToken)).Text.Split('\n'))
        {
            if (!line.StartsWith('#') && line.Split(' ') is [var name, var value] && double.TryParse(value, CultureInfo.InvariantCulture, out double number))
            {
                found[name] = number;
            }
        }

        return found;
    }

    private static byte[] Malformed(Random random)
    {
        byte[] body = """{"messages":[{"role":"user","content":"What is 3 plus 4?"}],"temperature":0,"max_tokens":4}"""u8.ToArray();
        for (int i = 0; i < 3; i++)
        {
            body[random.Next(body.Length)] = (byte)random.Next(256);
        }

        return random.Next(2) == 0 ? body[..random.Next(body.Length)] : body;
    }
}
