namespace Vicuna.Managed.Weights;

/// <summary>
/// A file that grows under a temporary name beside its target and takes its name in one step at <see cref="Commit"/>, so that nobody ever sees
/// half of it, and so that a file that is mapped is replaced rather than overwritten (huggingface/safetensors #762).
/// </summary>
internal sealed class StagedFile : IDisposable
{
    private const int BufferBytes = 1 << 16;

    private readonly string _path;
    private readonly string _temporaryPath;
    private readonly bool _overwrite;
    private bool _done;

    private StagedFile(string path, bool overwrite)
    {
        _path = path;
        _overwrite = overwrite;
        _temporaryPath = $"{path}.{Path.GetRandomFileName()}.tmp";
        Stream = new FileStream(_temporaryPath, FileMode.CreateNew, FileAccess.Write, FileShare.None, BufferBytes);
    }

    /// <summary>Takes the file's bytes.</summary>
    public FileStream Stream { get; }

    /// <summary>Begins a file.</summary>
    /// <param name="path">The file's final path.</param>
    /// <param name="overwrite">Whether <see cref="Commit"/> replaces a file of this name.</param>
    /// <exception cref="IOException">The file exists and may not be overwritten, or cannot be created.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder may not be written to.</exception>
    public static StagedFile Create(string path, bool overwrite) =>
        overwrite || !File.Exists(path) ? new StagedFile(path, overwrite) : throw new IOException($"{path}: the file exists already.");

    /// <summary>Gives the file its name, after its bytes have reached the disk.</summary>
    /// <exception cref="IOException">
    /// The disk is full, or a file of the name has appeared that may not be overwritten (on Windows also: one that is mapped).
    /// </exception>
    /// <exception cref="ObjectDisposedException">The file has been committed or disposed.</exception>
    public void Commit()
    {
        ObjectDisposedException.ThrowIf(_done, this);
        Stream.Flush(flushToDisk: true);
        Stream.Dispose();
        File.Move(_temporaryPath, _path, _overwrite);
        _done = true;
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
            // Closing writes what is buffered, which fails where the disk is full.
            Stream.Dispose();
        }
        catch (IOException)
        {
        }

        try
        {
            File.Delete(_temporaryPath);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The caller is mostly on the way out with a better exception than this one.
        }
    }
}
