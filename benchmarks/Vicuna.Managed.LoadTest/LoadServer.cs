using System.Diagnostics;
using System.Text.Json;

namespace Vicuna.Managed.LoadTest;

/// <summary>The server under load: one that is started for it, or one that runs already.</summary>
internal sealed class LoadServer : IDisposable
{
    private static readonly TimeSpan LoadingPatience = TimeSpan.FromMinutes(10);

    private readonly Process? _started;

    private LoadServer(Uri url, int? processId, Process? started)
    {
        Url = url;
        ProcessId = processId;
        _started = started;
    }

    /// <summary>Where it listens.</summary>
    public Uri Url { get; }

    /// <summary>Its process; null where it was not told.</summary>
    public int? ProcessId { get; }

    /// <summary>The model.</summary>
    public string Model { get; private set; } = "";

    /// <summary>Most tokens of a conversation.</summary>
    public int ContextLength { get; private set; }

    /// <summary>Takes a server that runs.</summary>
    public static async Task<LoadServer> AttachAsync(Uri url, int? processId, CancellationToken cancellationToken)
    {
        LoadServer server = new(url, processId, null);
        await server.ReadModelAsync(cancellationToken);
        return server;
    }

    /// <summary>Starts one on a free port of this machine and waits until its model is loaded.</summary>
    /// <param name="executable">The built tool; null for the one of this checkout.</param>
    /// <param name="arguments">Further arguments of <c>vicuna serve</c>.</param>
    /// <param name="cancellationToken">Stops the waiting, and the server.</param>
    public static async Task<LoadServer> StartAsync(FileInfo? executable, IEnumerable<string> arguments, CancellationToken cancellationToken)
    {
        string path = executable?.FullName ?? BuiltExecutable();
        ProcessStartInfo start = new(path, ["serve", "--json", "--urls", "http://127.0.0.1:0", .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        Process process = Process.Start(start)!;
        LoadServer? server = null;
        try
        {
            // Its log is a line for every request: read, so that it does not wait for a reader, and kept as far as it tells why it did not start.
            Queue<string> log = [];
            process.ErrorDataReceived += (_, line) =>
            {
                lock (log)
                {
                    log.Enqueue(line.Data ?? "");
                    if (log.Count > 10)
                    {
                        log.Dequeue();
                    }
                }
            };
            process.BeginErrorReadLine();
            string? ready = await process.StandardOutput.ReadLineAsync(cancellationToken).AsTask().WaitAsync(LoadingPatience, cancellationToken);
            if (ready is null)
            {
                await process.WaitForExitAsync(cancellationToken);
                throw new InvalidDataException($"{path} ended with code {process.ExitCode}: {string.Join('\n', log)}");
            }

            using JsonDocument json = JsonDocument.Parse(ready);
            server = new LoadServer(new Uri(json.RootElement.GetProperty("url").GetString()!), process.Id, process);
            await server.ReadModelAsync(cancellationToken);
            return server;
        }
        catch
        {
            (server ?? new LoadServer(new Uri("http://127.0.0.1"), null, process)).Dispose();
            throw;
        }
    }

    /// <summary>What it holds; null where its process is not known.</summary>
    public ServerProcess? Look() => ProcessId is { } id ? ServerProcess.Look(id) : null;

    /// <summary>Ends it, if it was started for this.</summary>
    public void Dispose()
    {
        if (_started is not null)
        {
            _started.Kill(entireProcessTree: true);
            _started.WaitForExit();
            _started.Dispose();
        }
    }

    private static string BuiltExecutable()
    {
        string configuration = new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name;
        string name = OperatingSystem.IsWindows() ? "vicuna.exe" : "vicuna";
        return Checkout.Find(Path.Combine("src", "Vicuna.Managed.Cli", "bin", configuration, "net10.0", name))
            ?? throw new FileNotFoundException($"The tool {name} of this checkout was not found: build it, or name one with --vicuna.");
    }

    private async Task ReadModelAsync(CancellationToken cancellationToken)
    {
        using LoadClient client = new(Url);
        (int status, string text) = await client.GetAsync("/v1/models", cancellationToken);
        if (status != 200)
        {
            throw new InvalidDataException($"{Url}v1/models answered with status {status}: {text}");
        }

        using JsonDocument json = JsonDocument.Parse(text);
        JsonElement model = json.RootElement.GetProperty("data")[0];
        Model = model.GetProperty("id").GetString()!;
        ContextLength = model.GetProperty("context_length").GetInt32();
    }
}
