using System.Diagnostics;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.PublicApi.Tests;

/// <summary>Runs the built executables as a user would.</summary>
internal static class Tool
{
    // The configuration that the tests were built in is the one that the tool was built in.
    private static readonly string Configuration = new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name;

    public static string VicunaPath => Built("src/Vicuna.Managed.Cli", "vicuna");

    public static string ChatPath => Built("samples/Chat", "Chat");

    public static string PicoVicunaPath => Built("samples/PicoVicuna", "PicoVicuna");

    public static Outcome Vicuna(params string[] arguments) => Run(VicunaPath, arguments, workingFolder: null, input: null);

    public static Outcome Run(string program, IEnumerable<string> arguments, string? workingFolder, string? input, Dictionary<string, string>? environment = null)
    {
        ProcessStartInfo start = new(program, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
            WorkingDirectory = workingFolder ?? Environment.CurrentDirectory,
        };
        foreach ((string name, string value) in environment ?? [])
        {
            start.Environment[name] = value;
        }

        using Process process = Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> error = process.StandardError.ReadToEndAsync();
        process.StandardInput.Write(input);
        process.StandardInput.Close();
        if (!process.WaitForExit(TimeSpan.FromMinutes(2)))
        {
            process.Kill(entireProcessTree: true);
            Assert.Fail($"{program} {string.Join(' ', arguments)} did not end within two minutes.");
        }

        return new Outcome(process.ExitCode, output.GetAwaiter().GetResult(), error.GetAwaiter().GetResult());
    }

    private static string Built(string project, string name) => RepositoryFolder.Find(
        Path.Combine(project, "bin", Configuration, "net10.0", OperatingSystem.IsWindows() ? $"{name}.exe" : name));

    internal sealed record Outcome(int ExitCode, string Output, string Error)
    {
        public string[] Lines => Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }
}
