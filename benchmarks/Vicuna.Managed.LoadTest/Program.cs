using System.CommandLine;
using Vicuna.Managed.LoadTest;

// Drives the server of this checkout, or another with OpenAI's API, and prints what came of it. The exit code is 0 where every check held.
//
//   dotnet run -c Release --project benchmarks/Vicuna.Managed.LoadTest -- load
//   dotnet run -c Release --project benchmarks/Vicuna.Managed.LoadTest -- load --streams 1 8 -- --model PATH --quantize q8
//   dotnet run -c Release --project benchmarks/Vicuna.Managed.LoadTest -- soak --minutes 10 --json soak.json
//   dotnet run -c Release --project benchmarks/Vicuna.Managed.LoadTest -- fairness -- --model PATH --quantize q8
const int Interrupted = 130;
const string KnownQuestions = "samples/models/questions.json";

Option<string?> url = new("--url") { Description = "A server that runs, as http://127.0.0.1:8080. Default: one is started, on a free port of this machine.", Recursive = true };
Option<int?> serverProcess = new("--server-process") { Description = "With --url: the server's process id, for its memory, threads and files.", Recursive = true };
Option<FileInfo?> vicuna = new("--vicuna") { Description = "The tool to start as a server. Default: this checkout's.", Recursive = true };
Option<FileInfo?> jsonFile = new("--json") { Description = "Where to write the figures and checks as JSON.", Recursive = true };
Argument<string[]> serverArguments = new("server") { Description = "After --: further arguments of vicuna serve.", Arity = ArgumentArity.ZeroOrMore };
Option<FileInfo?> questionFile = new("--questions") { Description = "JSON array of {question, answer}. Default: the embedded model's for the embedded model, made-up ones for others." };
Option<int?> questionCount = new("--question-count") { Description = "How many questions, 1 or more. Default: all of the file, 16 made-up ones." };
Option<int> maxTokens = new("--max-tokens") { Description = "Longest answer, in tokens.", DefaultValueFactory = _ => 64 };
url.Validators.Add(result => Require(Uri.TryCreate(result.GetValueOrDefault<string?>(), UriKind.Absolute, out _), result, "a url"));
questionCount.Validators.Add(result => Require(result.GetValueOrDefault<int?>() is null or >= 1, result, "1 or more"));
maxTokens.Validators.Add(result => Require(result.GetValueOrDefault<int>() >= 1, result, "1 or more"));

Option<int[]> streams = new("--streams") { Description = "Streams at a time, one measurement each.", DefaultValueFactory = _ => [1, 4, 16, 64], AllowMultipleArgumentsPerToken = true };
Option<double> seconds = new("--seconds") { Description = "Length of each measurement.", DefaultValueFactory = _ => 20 };
Option<int> requests = new("--requests") { Description = "Most questions of each measurement.", DefaultValueFactory = _ => 100_000 };
streams.Validators.Add(result => Require(result.GetValueOrDefault<int[]>() is { Length: > 0 } counts && counts.All(count => count is >= 1 and <= 1024), result, "1 to 1024"));
seconds.Validators.Add(result => Require(result.GetValueOrDefault<double>() is > 0 and <= 3600, result, "above 0, at most 3600"));
Command load = new("load", "Many streams: tokens per second, time to the first token and between tokens, refusals.")
{
    streams, seconds, requests, questionFile, questionCount, maxTokens, serverArguments,
};
load.SetAction((parsed, stop) => RunAsync(parsed, "load", (server, report) =>
    new LoadMode(server, Questions(parsed, server), TimeSpan.FromSeconds(parsed.GetValue(seconds)), parsed.GetValue(requests)).RunAsync(parsed.GetValue(streams)!, report, stop), stop));

Option<double> minutes = new("--minutes") { Description = "Length of the soak, after a fifth of it, or a minute, to warm up.", DefaultValueFactory = _ => 10 };
Option<double> growth = new("--max-growth") { Description = "Most growth of the server's resident memory, in MB.", DefaultValueFactory = _ => 256 };
minutes.Validators.Add(result => Require(result.GetValueOrDefault<double>() is > 0 and <= 10_000, result, "above 0, at most 10000"));
Command soak = new("soak", "Correct, cancelled, oversize and malformed requests at once; afterwards nothing of them may be left.")
{
    minutes, growth, questionFile, questionCount, maxTokens, serverArguments,
};
soak.SetAction((parsed, stop) => RunAsync(parsed, "soak", (server, report) =>
    new Soak(server, Questions(parsed, server), TimeSpan.FromMinutes(parsed.GetValue(minutes)), parsed.GetValue(growth)).RunAsync(report, stop), stop));

Option<int> promptTokens = new("--prompt-tokens") { Description = "Length of the neighbour's prompt; at most seven eighths of the context.", DefaultValueFactory = _ => 2000 };
Option<int> chunkTokens = new("--chunk-tokens") { Description = "Tokens of a prompt that the server computes in one pass.", DefaultValueFactory = _ => 64 };
Option<int> rounds = new("--rounds") { Description = "How often it is measured.", DefaultValueFactory = _ => 7 };
Option<double> tolerance = new("--tolerance") { Description = "Chunks more than the one that others may wait for: this tool takes time too.", DefaultValueFactory = _ => 0.5 };
foreach (Option<int> option in new[] { promptTokens, chunkTokens, rounds, requests })
{
    option.Validators.Add(result => Require(result.GetValueOrDefault<int>() >= 1, result, "1 or more"));
}

Command fairness = new("fairness", "A neighbour's long prompt: what it does to a running answer and to a short question.") { promptTokens, chunkTokens, rounds, tolerance, serverArguments };
fairness.SetAction((parsed, stop) => RunAsync(parsed, "fairness", (server, report) =>
    new Fairness(server, parsed.GetValue(promptTokens), parsed.GetValue(chunkTokens), parsed.GetValue(rounds), parsed.GetValue(tolerance)).RunAsync(report, stop), stop));

RootCommand root = new("Load on an OpenAI-compatible server.") { url, serverProcess, vicuna, jsonFile, load, soak, fairness };
return await root.Parse(args).InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = TimeSpan.FromSeconds(10) });

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
    catch (Exception exception) when (exception is HttpRequestException or IOException or InvalidDataException or TimeoutException or System.Text.Json.JsonException or System.ComponentModel.Win32Exception)
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

static void Require(bool holds, System.CommandLine.Parsing.OptionResult result, string expected)
{
    if (!holds)
    {
        result.AddError($"{result.Option.Name}: expected {expected}.");
    }
}
