namespace Vicuna.Managed.Tests.Support;

/// <summary>The checkout that the tests run from, for the files that are part of it.</summary>
internal static class RepositoryFolder
{
    /// <summary>Full path of a file or folder of the repository.</summary>
    public static string Find(string relativePath)
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Vicuna.Managed.sln")))
            {
                return Path.Combine(folder.FullName, relativePath);
            }
        }

        throw new DirectoryNotFoundException($"No folder above {AppContext.BaseDirectory} holds Vicuna.Managed.sln.");
    }
}
