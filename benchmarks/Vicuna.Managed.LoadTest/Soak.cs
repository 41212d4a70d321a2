using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text;

namespace Vicuna.Managed.LoadTest;

/// <summary>Minutes of everything that clients do, the impolite ones included; afterwards nothing may be left of it.</summary>
internal static class Soak
{
    private const int Clients = 24;

    // The first of them must be 0 at the end.
    private static readonly string[] Watched =
    [
        "vicuna_active_requests", "vicuna_queued_requests", "vicuna_kv_active_bytes", "vicuna_requests_in_progress",
        "vicuna_kv_cached_bytes", "vicuna_rejected_total", "vicuna_cancelled_total", "vicuna_failed_total",
    ];

    /// <summary>Runs and reports.</summary>
    /// <returns>0 where every answer was right and nothing is left.</returns>
    public static async Task<int> RunAsync(LoadClient client, QuestionSet questions, TimeSpan time, ServerProcess? process, CancellationToken cancellationToken)
    {
        ConcurrentDictionary<string, int> outcomes = [];
        int wrong = 0;
        long start = Stopwatch.GetTimestamp();
        Console.WriteLine($"before: {process?.Describe()}");
        Task[] clients = [.. Enumerable.Range(0, Clients).Select(UseAsync)];
        TimeSpan next = TimeSpan.FromMinutes(1);
        while (Stopwatch.GetElapsedTime(start) < time)
        {
            await Task.WhenAny(Task.WhenAll(clients), Task.Delay(TimeSpan.FromSeconds(1), cancellationToken));
            if (Stopwatch.GetElapsedTime(start) > next)
            {
                Console.WriteLine($"{next.TotalMinutes:0} min: {outcomes.Values.Sum()} requests, {wrong} wrong; {process?.Describe()}");
                next += TimeSpan.FromMinutes(1);
            }
        }

        await Task.WhenAll(clients);
        foreach ((string outcome, int count) in outcomes.OrderBy(pair => pair.Key, StringComparer.Ordinal))
        {
            Console.WriteLine($"{outcome}: {count}");
        }

        // A server notices within a second that a client has gone.
        await Task.Delay(TimeSpan.FromSeconds(3), cancellationToken);
        Dictionary<string, string> metrics = await MetricsAsync();
        foreach (string name in Watched)
        {
            Console.WriteLine($"{name}: {metrics.GetValueOrDefault(name, "missing")}");
        }

        Console.WriteLine($"after: {process?.Describe()}");
        Console.WriteLine($"wrong answers: {wrong}");
        bool isLeft = Watched[..4].Any(name => metrics.GetValueOrDefault(name) != "0");
        return wrong == 0 && !isLeft ? 0 : 1;

        async Task UseAsync(int number)
        {
            Random random = new(number);
            while (Stopwatch.GetElapsedTime(start) < time)
            {
                string outcome;
                try
                {
                    outcome = await OnceAsync(random);
                }
                catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
                {
                    outcome = "cancelled by the client";
                }
                catch (Exception exception) when (exception is HttpRequestException or IOException)
                {
                    outcome = $"connection: {exception.GetType().Name}";
                }

                outcomes.AddOrUpdate(outcome, 1, (_, count) => count + 1);
                if (outcome.EndsWith(": 429", StringComparison.Ordinal))
                {
                    // Not as long as the server asks for: it is to be under load all the time.
                    await Task.Delay(random.Next(100), cancellationToken);
                }
            }
        }

        async Task<string> OnceAsync(Random random)
        {
            string question = questions.Question(random.Next());
            switch (random.Next(10))
            {
                case 0:
                    using (CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken))
                    {
                        stop.CancelAfter(random.Next(1, 200));
                        return Judge(question, await client.AskAsync(question, 64, null, stop.Token));
                    }

                case 1:
                    return (await client.AskAsync(question, 64, random.Next(1, 5), cancellationToken)).Status == 0 ? "left during the answer" : "ended before it could be left";
                case 2:
                    return $"malformed: {await client.PostAsync("/v1/chat/completions", Malformed(random), "application/json", cancellationToken)}";
                case 3:
                    return $"too long: {(await client.AskAsync(string.Concat(Enumerable.Repeat("far too long ", 4000)), 8, null, cancellationToken)).Status}";
                case 4 when random.Next(10) == 0:
                    return $"oversize: {await client.PostAsync("/v1/chat/completions", new byte[6 << 20], "application/json", cancellationToken)}";
                case 5 when random.Next(2) == 0:
                    return $"embeddings: {await client.PostAsync("/v1/embeddings", Encoding.UTF8.GetBytes($$"""{"input":["{{question}}","b"],"encoding_format":"base64"}"""), "application/json", cancellationToken)}";
                default:
                    return Judge(question, await client.AskAsync(question, 64, null, cancellationToken));
            }
        }

        string Judge(string question, Answer answer)
        {
            if (answer.Status != 200)
            {
                return $"refused: {answer.Status}";
            }

            bool isRight = questions.IsTheSame(question, answer.Text);
            if (!isRight)
            {
                Interlocked.Increment(ref wrong);
            }

            return isRight ? "answered" : "answered wrongly";
        }

        async Task<Dictionary<string, string>> MetricsAsync()
        {
            Dictionary<string, string> found = [];
            foreach (string line in (await client.GetAsync("/metrics", cancellationToken)).Split('\n'))
            {
                string[] parts = line.Split(' ');
                if (parts.Length == 2 && !line.StartsWith('#'))
                {
                    found[parts[0].Split('{')[0]] = parts[1];
                }
            }

            return found;
        }
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
