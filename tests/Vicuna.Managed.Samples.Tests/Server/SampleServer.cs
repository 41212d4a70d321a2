using System.Diagnostics;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Samples.Tests.Server;

/// <summary>The sample as its user runs it: the built executable, on a free port of this machine, with its embedded model.</summary>
internal sealed class SampleServer : IDisposable
{
    private const string Listening = "Now listening on: ";

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    private readonly Process _process;

    private SampleServer(Process process, Uri url)
    {
        _process = process;
        Url = url;
    }

    /// <summary>Where it listens.</summary>
    public Uri Url { get; }

    /// <summary>Starts it and waits until it answers questions.</summary>
    public static async Task<SampleServer> StartAsync(CancellationToken cancellationToken)
    {
        Process process = Process.Start(Command("--urls", "http://127.0.0.1:0"))!;
        try
        {
            Uri url = await ReadUrlAsync(process).WaitAsync(Patience, cancellationToken);
            using HttpClient client = new() { BaseAddress = url };
            long start = Stopwatch.GetTimestamp();
            while (!(await client.GetAsync(new Uri("health/ready", UriKind.Relative), cancellationToken)).IsSuccessStatusCode)
            {
                Assert.True(Stopwatch.GetElapsedTime(start) < Patience, "The sample server did not get ready within a minute.");
                await Task.Delay(50, cancellationToken);
            }

            return new SampleServer(process, url);
        }
        catch
        {
            Kill(process);
            throw;
        }
    }

    /// <summary>How it is started: from a folder that is not its own.</summary>
    public static ProcessStartInfo Command(params string[] arguments)
    {
        string configuration = new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name;
        string name = OperatingSystem.IsWindows() ? "Server.exe" : "Server";
        return new(RepositoryFolder.Find(Path.Combine("samples", "Server", "bin", configuration, "net10.0", name)), arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = Path.GetTempPath(),
        };
    }

    /// <inheritdoc/>
    public void Dispose() => Kill(_process);

    private static async Task<Uri> ReadUrlAsync(Process process)
    {
        // Read to their ends: a full pipe would stop the process.
        TaskCompletionSource<Uri> found = new(TaskCreationOptions.RunContinuationsAsynchronously);
        List<string> lines = [];
        process.OutputDataReceived += (_, line) => Take(line.Data);
        process.ErrorDataReceived += (_, line) => Take(line.Data);
        process.Exited += (_, _) => found.TrySetException(new InvalidOperationException($"The sample server ended: {string.Join('\n', Seen())}"));
        process.EnableRaisingEvents = true;
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return await found.Task;

        void Take(string? line)
        {
            lock (lines)
            {
                lines.Add(line ?? string.Empty);
            }

            if (line?.IndexOf(Listening, StringComparison.Ordinal) is >= 0 and int index)
            {
                found.TrySetResult(new Uri(line[(index + Listening.Length)..]));
            }
        }

        string[] Seen()
        {
            lock (lines)
            {
                return [.. lines];
            }
        }
    }

    private static void Kill(Process process)
    {
        process.Kill(entireProcessTree: true);
        process.WaitForExit();
        process.Dispose();
    }
}
