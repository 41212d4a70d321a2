namespace Vicuna.Managed.Checkpoints;

/// <summary>
/// A folder that is filled under a temporary name beside its target and takes its name in one step at <see cref="Commit"/>: nobody ever sees half
/// of it, and what fails or is cancelled leaves nothing behind. What is there already is never overwritten.
/// </summary>
internal sealed class StagedFolder : IDisposable
{
    private bool _done;

    private StagedFolder(string path)
    {
        Path = path;
        TemporaryPath = $"{path}.{System.IO.Path.GetRandomFileName()}.tmp";
        Directory.CreateDirectory(TemporaryPath);
    }

    /// <summary>Full path that the folder will have.</summary>
    public string Path { get; }

    /// <summary>Full path of the folder to fill.</summary>
    public string TemporaryPath { get; }

    /// <summary>Begins a folder.</summary>
    /// <param name="folder">Its path; must not exist or be empty.</param>
    /// <param name="neededBytes">Bytes that will be written, generously.</param>
    /// <exception cref="IOException">The folder is not empty, or the disk has no room.</exception>
    /// <exception cref="UnauthorizedAccessException">The parent folder may not be written to.</exception>
    public static StagedFolder Create(string folder, long neededBytes)
    {
        string path = System.IO.Path.TrimEndingDirectorySeparator(System.IO.Path.GetFullPath(folder));
        RequireEmpty(path);
        DiskSpace.Require(path, neededBytes);

        // A root folder has no parent, and is never new: it is refused above unless it is an empty drive.
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(path) ?? path);
        return new StagedFolder(path);
    }

    /// <summary>Path of a file in the folder while it is filled.</summary>
    public string File(string name) => System.IO.Path.Combine(TemporaryPath, name);

    /// <summary>Gives the folder its name.</summary>
    /// <returns>Bytes of all files in it.</returns>
    /// <exception cref="IOException">A folder of the name has been filled meanwhile.</exception>
    public long Commit()
    {
        ObjectDisposedException.ThrowIf(_done, this);
        long bytes = new DirectoryInfo(TemporaryPath).EnumerateFiles().Sum(file => file.Length);
        if (Directory.Exists(Path))
        {
            Directory.Delete(Path);
        }

        Directory.Move(TemporaryPath, Path);
        _done = true;
        return bytes;
    }

    /// <summary>Deletes what has been written, unless it has been committed.</summary>
    public void Dispose()
    {
        if (_done)
        {
            return;
        }

        _done = true;
        try
        {
            Directory.Delete(TemporaryPath, recursive: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The caller is on the way out with a better exception than this one.
        }
    }

    private static void RequireEmpty(string path)
    {
        if (System.IO.File.Exists(path))
        {
            throw new IOException($"{path}: expected a new or empty folder, found a file.");
        }

        if (Directory.Exists(path) && Directory.EnumerateFileSystemEntries(path).FirstOrDefault() is { } entry)
        {
            throw new IOException($"{path}: expected a new or empty folder, found {ModelFormatException.Quote(System.IO.Path.GetFileName(entry))} in it.");
        }
    }
}
