using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;

namespace Vicuna.Managed.PublicApi.Tests;

/// <summary>A server in a process of its own that has said where it is.</summary>
internal sealed class Served : IAsyncDisposable
{
    /// <summary>SIGTERM.</summary>
    public const int Terminate = 15;

    /// <summary>SIGINT.</summary>
    public const int Interrupt = 2;

    /// <summary>Longer than anything takes.</summary>
    public static readonly TimeSpan Long = TimeSpan.FromMinutes(2);

    private readonly Process _process;
    private readonly Task<string> _error;

    private Served(Process process, string line, Task<string> error)
    {
        (_process, Line, _error) = (process, line, error);
        int start = line.IndexOf("http://", StringComparison.Ordinal);
        Http = new HttpClient { BaseAddress = new Uri(line[start..].Split('"')[0]), Timeout = Long };
    }

    public string Line { get; }

    public bool IgnoresInterrupt
    {
        get
        {
            const string Ignored = "SigIgn:";
            string file = $"/proc/{_process.Id}/status";
            string? line = File.Exists(file) ? File.ReadLines(file).FirstOrDefault(line => line.StartsWith(Ignored, StringComparison.Ordinal)) : null;
            return line is not null && (Convert.ToUInt64(line[Ignored.Length..].Trim(), 16) & (1UL << (Interrupt - 1))) != 0;
        }
    }

    public HttpClient Http { get; }

    public static Task<Served> StartAsync(IEnumerable<string> arguments, Dictionary<string, string>? environment = null) =>
        StartAsync(Tool.VicunaPath, arguments, Environment.CurrentDirectory, environment);

    // Other programs say more before they say where they are. What they say after it is read, so that they are never held up.
    public static async Task<Served> StartAsync(
        string program, IEnumerable<string> arguments, string workingFolder, Dictionary<string, string>? environment = null)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "The test sends signals, which Windows has not.");
        ProcessStartInfo start = new(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = workingFolder };
        foreach ((string name, string value) in environment ?? [])
        {
            start.Environment[name] = value;
        }

        Process process = Process.Start(start)!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        using CancellationTokenSource stop = new(Long);
        string? line = string.Empty;
        while (line is not null && !line.Contains("http://", StringComparison.Ordinal))
        {
            line = await process.StandardOutput.ReadLineAsync(stop.Token);
        }

        if (line is null)
        {
            throw new InvalidOperationException($"The server ended: {await error}");
        }

        _ = process.StandardOutput.ReadToEndAsync();
        return new Served(process, line, error);
    }

    public async Task<string> ChatAsync(string body)
    {
        using HttpResponseMessage response = await Http.PostAsync("/v1/chat/completions", new StringContent(body, Encoding.UTF8, "application/json"));
        return await response.Content.ReadAsStringAsync();
    }

    public async Task<(int Code, string Error)> SignalAsync(int signal)
    {
        Assert.Equal(0, Kill(_process.Id, signal));
        await _process.WaitForExitAsync().WaitAsync(Long);
        return (_process.ExitCode, await _error);
    }

    public async Task UntilAsync(string metric)
    {
        using CancellationTokenSource stop = new(Long);
        while (!(await Http.GetStringAsync("/metrics", stop.Token)).Contains($"\n{metric}\n", StringComparison.Ordinal))
        {
            await Task.Delay(10, stop.Token);
        }
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        if (!_process.HasExited)
        {
            _process.Kill();
            await _process.WaitForExitAsync();
        }

        _process.Dispose();
    }

    [DllImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static extern int Kill(int process, int signal);
}
