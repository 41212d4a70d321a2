namespace Vicuna.Managed.LoadTest;

/// <summary>The checkout that this tool was built in.</summary>
internal static class Checkout
{
    /// <summary>Full path of a file of it; null where there is none.</summary>
    public static string? Find(string relativePath)
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Vicuna.Managed.sln")))
            {
                string path = Path.Combine(folder.FullName, relativePath);
                return File.Exists(path) ? path : null;
            }
        }

        return null;
    }
}
