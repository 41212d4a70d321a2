using System.Diagnostics;

namespace Vicuna.Managed.Tests.Support;

/// <summary>Runs the test executable again, in one of the modes of <see cref="ChildModes"/>: for what only a process of its own can show.</summary>
internal static class ChildProcess
{
    public const string ModeVariable = "VICUNA_TEST_CHILD";

    public static ChildResult Run(string mode, params ReadOnlySpan<(string Name, string Value)> environment)
    {
        string self = Environment.ProcessPath!;
        using TempFolder folder = new();
        ProcessStartInfo start = new(self)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = folder.Path, // where a core dump may land
        };
        if (Path.GetFileNameWithoutExtension(self) == "dotnet")
        {
            start.ArgumentList.Add(typeof(ChildProcess).Assembly.Location);
        }

        start.Environment["DOTNET_DbgEnableMiniDump"] = "0";
        start.Environment[ModeVariable] = mode;
        foreach ((string name, string value) in environment)
        {
            start.Environment[name] = value;
        }

        using Process process = Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> error = process.StandardError.ReadToEndAsync();
        if (!process.WaitForExit(TimeSpan.FromSeconds(60)))
        {
            process.Kill();
            Assert.Fail($"The child in mode '{mode}' did not end.");
        }

        return new ChildResult(process.ExitCode, output.Result, error.Result);
    }
}
