using System.CommandLine;
using System.ComponentModel;
using System.Text.Json;
using Vicuna.Managed.LoadTest;

// Drives the server of this checkout, or another with OpenAI's API, and prints what came of it. The exit code is 0 where every check held.
//
//   dotnet run -c Release --project benchmarks/Vicuna.Managed.LoadTest -- load
//   dotnet run -c Release --project benchmarks/Vicuna.Managed.LoadTest -- load --streams 1 8 -- --model PATH --quantize q8
//   dotnet run -c Release --project benchmarks/Vicuna.Managed.LoadTest -- soak --minutes 10 --json soak.json
//   dotnet run -c Release --project benchmarks/Vicuna.Managed.LoadTest -- fairness -- --model PATH --quantize q8
const int Interrupted = 130;
const string KnownQuestions = "samples/models/questions.json";

Option<string?> url = Take<string?>(
    "--url", "A server that runs on this machine. Default: one is started, on a free port.", null,
    value => Uri.TryCreate(value, UriKind.Absolute, out Uri? uri) && uri.IsLoopback, "a url of this machine");
Option<int?> serverProcess = new("--server-process") { Description = "With --url: the server's process id, for its memory, threads and files." };
Option<FileInfo?> vicuna = new("--vicuna") { Description = "The tool to start as a server. Default: this checkout's." };
Option<FileInfo?> jsonFile = new("--json") { Description = "Where to write the figures and checks as JSON." };
Argument<string[]> serverArguments = new("server") { Description = "After --: further arguments of vicuna serve.", Arity = ArgumentArity.ZeroOrMore };
Option<FileInfo?> questionFile = new("--questions")
{
    Description = "JSON array of {question, answer}. Default: the embedded model's for the embedded model, made-up ones for others.",
};
Option<int?> questionCount = Take<int?>(
    "--question-count", "How many questions. Default: all of the file, 16 made-up ones.", null, value => value >= 1, "1 or more");
Option<int> maxTokens = Count("--max-tokens", "Longest answer, in tokens.", 64);

Option<int[]> streams = Take<int[]>(
    "--streams", "Streams at a time, one measurement each.", [1, 4, 16, 64],
    counts => counts.Length > 0 && counts.All(count => count is >= 1 and <= 1024), "1 to 1024");
streams.AllowMultipleArgumentsPerToken = true;
Option<double> seconds = Take("--seconds", "Length of each measurement.", 20.0, value => value is > 0 and <= 3600, "above 0, at most 3600");
Option<int> requests = Count("--requests", "Most questions of each measurement.", 100_000);
Command load = Verb(
    "load", "Many streams: tokens per second, time to the first token and between tokens, refusals.",
    (parsed, server, report, stop) =>
        new LoadMode(server, Questions(parsed, server), TimeSpan.FromSeconds(parsed.GetValue(seconds)), parsed.GetValue(requests))
            .RunAsync(parsed.GetValue(streams)!, report, stop),
    streams, seconds, requests, questionFile, questionCount, maxTokens);

Option<double> minutes = Take(
    "--minutes", "Length of the soak, after a fifth of it, or a minute, to warm up.", 10.0, value => value is > 0 and <= 10_000, "above 0, at most 10000");
Option<double> growth = Take("--max-growth", "Most growth of the server's resident memory, in MB.", 256.0, value => value >= 0, "0 or more");
Command soak = Verb(
    "soak", "Correct, cancelled, oversize and malformed requests at once; afterwards nothing of them may be left.",
    (parsed, server, report, stop) =>
        new Soak(server, Questions(parsed, server), TimeSpan.FromMinutes(parsed.GetValue(minutes)), parsed.GetValue(growth)).RunAsync(report, stop),
    minutes, growth, questionFile, questionCount, maxTokens);

Option<int> promptTokens = Count("--prompt-tokens", "Length of the neighbour's prompt; at most seven eighths of the context.", 2000);
Option<int> chunkTokens = Count("--chunk-tokens", "Tokens of a prompt that the server computes in one pass.", 64);
Option<int> rounds = Count("--rounds", "How often it is measured.", 7);
Option<double> tolerance = Take(
    "--tolerance", "Chunks more than the one that others may wait for: this tool takes time too.", 0.5, double.IsFinite, "a number");
Command fairness = Verb(
    "fairness", "A neighbour's long prompt: what it does to a running answer and to a short question.",
    (parsed, server, report, stop) =>
        new Fairness(server, parsed.GetValue(promptTokens), parsed.GetValue(chunkTokens), parsed.GetValue(rounds), parsed.GetValue(tolerance))
            .RunAsync(report, stop),
    promptTokens, chunkTokens, rounds, tolerance);

RootCommand root = new("Load on an OpenAI-compatible server.") { load, soak, fairness };
return await root.Parse(args).InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = TimeSpan.FromSeconds(10) });

Command Verb(string name, string description, Func<ParseResult, LoadServer, Report, CancellationToken, Task> run, params IEnumerable<Option> options)
{
    Command command = new(name, description) { serverArguments };
    foreach (Option option in options.Concat([url, serverProcess, vicuna, jsonFile]))
    {
        command.Add(option);
    }

    command.SetAction((parsed, stop) => RunAsync(parsed, name, (server, report) => run(parsed, server, report, stop), stop));
    return command;
}

async Task<int> RunAsync(ParseResult parsed, string mode, Func<LoadServer, Report, Task> run, CancellationToken stop)
{
    try
    {
        using LoadServer server = parsed.GetValue(url) is { } running
            ? await LoadServer.AttachAsync(new Uri(running), parsed.GetValue(serverProcess), stop)
            : await LoadServer.StartAsync(parsed.GetValue(vicuna), parsed.GetValue(serverArguments) ?? [], stop);
        Report report = new(mode, server);
        await run(server, report);
        return report.End(parsed.GetValue(jsonFile));
    }
    catch (OperationCanceledException) when (stop.IsCancellationRequested)
    {
        Console.Error.WriteLine("Interrupted.");
        return Interrupted;
    }
    catch (Exception exception) when (exception
        is HttpRequestException or IOException or InvalidDataException or TimeoutException or JsonException or Win32Exception)
    {
        Console.Error.WriteLine(exception.Message);
        return 1;
    }
}

QuestionSet Questions(ParseResult parsed, LoadServer server)
{
    FileInfo? file = parsed.GetValue(questionFile);
    if (file is null && server.Model == "pico-vicuna" && Checkout.Find(KnownQuestions) is { } known)
    {
        file = new FileInfo(known);
    }

    return QuestionSet.Read(file, parsed.GetValue(questionCount), parsed.GetValue(maxTokens));
}

static Option<int> Count(string name, string description, int value) => Take(name, description, value, count => count >= 1, "1 or more");

static Option<T> Take<T>(string name, string description, T value, Func<T, bool> holds, string expected)
{
    Option<T> option = new(name) { Description = description };
    if (value is not null)
    {
        option.DefaultValueFactory = _ => value;
    }

    option.Validators.Add(result =>
    {
        if (result.GetValueOrDefault<T>() is { } given && !holds(given))
        {
            result.AddError($"{name}: expected {expected}.");
        }
    });
    return option;
}
