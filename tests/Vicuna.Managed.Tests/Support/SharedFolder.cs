namespace Vicuna.Managed.Tests.Support;

/// <summary>
/// Test data that does not ship with the repository: the folder <c>shared</c> beside the checkout, or the one that the environment
/// variable VICUNA_SHARED names. A test that needs it is reported as skipped where it is missing.
/// </summary>
internal static class SharedFolder
{
    private static readonly string? Root = Find();

    /// <summary>Full path of a file or folder in the shared folder; skips the calling test where it is missing.</summary>
    public static string Require(string relativePath)
    {
        string? path = Root is null ? null : Path.Combine(Root, relativePath);
        Assert.SkipWhen(path is null || !(File.Exists(path) || Directory.Exists(path)), $"Needs shared/{relativePath} beside the checkout (or VICUNA_SHARED).");
        return path!;
    }

    private static string? Find()
    {
        if (Environment.GetEnvironmentVariable("VICUNA_SHARED") is { Length: > 0 } named)
        {
            return named;
        }

        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Vicuna.Managed.sln")))
            {
                string beside = Path.Combine(folder.Parent?.FullName ?? string.Empty, "shared");
                return Directory.Exists(beside) ? beside : null;
            }
        }

        return null;
    }
}
