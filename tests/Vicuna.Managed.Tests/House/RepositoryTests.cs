using System.Diagnostics;
using System.Text;
using System.Text.RegularExpressions;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.House;

/// <summary>What is under version control is clean: for readers on any machine, and small enough to clone.</summary>
public sealed partial class RepositoryTests
{
    private const long MaxFileBytes = 1 << 20;

    // The model that every example and most tests run on.
    private const string LargeFile = "samples/models/pico-vicuna/model.safetensors";

    private static readonly string Root = RepositoryFolder.Find(string.Empty);

    [Fact]
    public void Files_HoldNoPathsOfOneMachine()
    {
        string[] folders = ["work", "tmp", "root"];
        byte[][] paths = [.. folders.Select(folder => Encoding.ASCII.GetBytes($"/{folder}/"))];
        Assert.Empty(Tracked().Where(file => paths.Any(path => File.ReadAllBytes(Path.Combine(Root, file)).AsSpan().IndexOf(path) >= 0)).ToArray());
    }

    [Fact]
    public void Source_HoldsNothingUnfinished() =>
        Assert.Empty(Tracked().Where(file => IsCodeOrText(file) && MarkPattern().IsMatch(File.ReadAllText(Path.Combine(Root, file)))).ToArray());

    [Fact]
    public void Files_AreSmallerThanAMegabyte()
    {
        Assert.Contains(LargeFile, Tracked());
        Assert.Empty(Tracked().Where(file => file != LargeFile && new FileInfo(Path.Combine(Root, file)).Length > MaxFileBytes).ToArray());
    }

    private static bool IsCodeOrText(string file) =>
        (file.StartsWith("src/", StringComparison.Ordinal) || file.StartsWith("samples/", StringComparison.Ordinal))
        && Path.GetExtension(file) is ".cs" or ".csproj" or ".props" or ".targets" or ".txt" or ".md" or ".json";

    // Tracked files that exist: one that is deleted but not yet committed is gone for this purpose.
    private static string[] Tracked()
    {
        Assert.SkipUnless(Path.Exists(Path.Combine(Root, ".git")), "Not a git checkout.");
        try
        {
            using Process git = Process.Start(new ProcessStartInfo("git", ["-C", Root, "-c", "safe.directory=*", "ls-files", "-z"]) { RedirectStandardOutput = true })!;
            string[] files = git.StandardOutput.ReadToEnd().Split('\0', StringSplitOptions.RemoveEmptyEntries);
            git.WaitForExit();
            Assert.Equal(0, git.ExitCode);
            Assert.NotEmpty(files);
            return [.. files.Where(file => File.Exists(Path.Combine(Root, file)))];
        }
        catch (System.ComponentModel.Win32Exception)
        {
            Assert.Skip("git is not installed.");
            throw;
        }
    }

    [GeneratedRegex(@"\b(TODO|FIXME|HACK|XXX|NotImplementedException)\b")]
    private static partial Regex MarkPattern();
}
