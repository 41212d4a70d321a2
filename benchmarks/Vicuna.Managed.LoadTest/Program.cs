using System.CommandLine;
using Vicuna.Managed.LoadTest;

// Drives an OpenAI-compatible server with many streams at a time and prints what came of it. Knows nothing of the server but its address.
Option<string> url = new("--url") { Description = "The server.", DefaultValueFactory = _ => "http://127.0.0.1:8080" };
Option<int[]> streams = new("--streams") { Description = "Streams at a time; may be given several times.", DefaultValueFactory = _ => [1, 4, 16, 64], AllowMultipleArgumentsPerToken = true };
Option<double> seconds = new("--seconds") { Description = "Length of each measurement.", DefaultValueFactory = _ => 20 };
Option<int> maxTokens = new("--max-tokens") { Description = "Longest answer.", DefaultValueFactory = _ => 64 };
Option<FileInfo?> questions = new("--questions") { Description = "JSON array of {question, answer}: answers are compared. Default: made-up prompts, compared with each other." };
Option<double> soak = new("--soak") { Description = "Instead of measuring: minutes of mixed use with cancellations, disconnects, oversize and malformed requests." };
Option<int?> serverProcess = new("--server-process") { Description = "The server's process id: its memory, threads and files are reported." };
RootCommand root = new("Load on an OpenAI-compatible server.") { url, streams, seconds, maxTokens, questions, soak, serverProcess };
root.SetAction(async (parsed, cancellationToken) =>
{
    using LoadClient client = new(new Uri(parsed.GetValue(url)!));
    QuestionSet set = QuestionSet.Read(parsed.GetValue(questions));
    ServerProcess? process = parsed.GetValue(serverProcess) is { } id ? new ServerProcess(id) : null;
    if (parsed.GetValue(soak) > 0)
    {
        return await Soak.RunAsync(client, set, TimeSpan.FromMinutes(parsed.GetValue(soak)), process, cancellationToken);
    }

    return await Measurement.RunAsync(client, set, parsed.GetValue(streams)!, TimeSpan.FromSeconds(parsed.GetValue(seconds)), parsed.GetValue(maxTokens), cancellationToken);
});
return await root.Parse(args).InvokeAsync();
