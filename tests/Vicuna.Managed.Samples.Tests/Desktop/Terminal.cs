using System.ComponentModel;
using System.Diagnostics;
using System.Runtime.InteropServices;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Samples.Tests.Desktop;

/// <summary>A program in a terminal of its own, made by tmux: its screen can be read, and keys can be pressed.</summary>
internal sealed class Terminal : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private readonly TempFolder _folder = new();

    /// <summary>Starts a program; skips the calling test where there is no tmux.</summary>
    /// <param name="columns">Width of the terminal.</param>
    /// <param name="rows">Height of the terminal.</param>
    /// <param name="program">A built .NET program, and its arguments.</param>
    public Terminal(int columns, int rows, params string[] program)
    {
        string configuration = _folder.Write("tmux.conf", "set -g remain-on-exit on");
        string dotnet = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..", "dotnet"));
        try
        {
            // The shell notes the exit code: tmux does not always know it.
            string[] command = ["sh", "-c", "\"$@\"; echo $? > \"$0\"", ExitFile, dotnet, .. program];
            Tmux(["-u", "-f", configuration, "new-session", "-d", "-x", $"{columns}", "-y", $"{rows}", .. command]);
        }
        catch (Win32Exception)
        {
            _folder.Dispose();
            Assert.Skip("tmux is not installed.");
        }
    }

    /// <summary>The exit code of the program; null while it is not known, which is a little longer than the program runs.</summary>
    public int? ExitCode => File.Exists(ExitFile) && int.TryParse(File.ReadAllText(ExitFile), out int code) ? code : null;

    /// <summary>What is on the screen.</summary>
    public string Screen => Tmux(["-u", "capture-pane", "-p"]);

    /// <summary>Presses keys, by their names in tmux.</summary>
    public void Press(params string[] keys) => Tmux(["send-keys", .. keys]);

    /// <summary>Types text.</summary>
    public void Type(string text) => Tmux(["send-keys", "-l", "--", text]);

    /// <summary>Changes the size of the terminal.</summary>
    public void Resize(int columns, int rows) => Tmux(["resize-window", "-x", $"{columns}", "-y", $"{rows}"]);

    /// <summary>Waits until the screen is as expected, and returns it.</summary>
    public async Task<string> Until(Func<string, bool> condition, string what)
    {
        long start = Stopwatch.GetTimestamp();
        while (true)
        {
            string screen = Screen;
            if (condition(screen))
            {
                return screen;
            }

            Assert.True(Stopwatch.GetElapsedTime(start) < Patience, $"Expected {what}, found:{Environment.NewLine}{screen}");
            await Task.Delay(100);
        }
    }

    /// <summary>Waits until the screen shows a text, and returns it.</summary>
    public Task<string> Until(string text) => Until(screen => screen.Contains(text, StringComparison.Ordinal), $"'{text}'");

    public void Dispose()
    {
        Tmux(["kill-server"]);
        _folder.Dispose();
    }

    private string ExitFile => _folder.File("exit-code");

    private string Tmux(string[] arguments)
    {
        // A server of its own, so that nobody's sessions are in the way.
        using Process tmux = Process.Start(new ProcessStartInfo("tmux", ["-S", _folder.File("socket"), .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            StandardOutputEncoding = System.Text.Encoding.UTF8,
        })!;
        string output = tmux.StandardOutput.ReadToEnd();
        string error = tmux.StandardError.ReadToEnd();
        tmux.WaitForExit();
        Assert.True(tmux.ExitCode == 0, $"tmux {string.Join(' ', arguments)}: {error}");
        return output;
    }
}
