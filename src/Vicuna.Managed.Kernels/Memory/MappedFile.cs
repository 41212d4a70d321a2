using System.IO.MemoryMappedFiles;
using Microsoft.Win32.SafeHandles;

namespace Vicuna.Managed.Kernels.Memory;

/// <summary>
/// A file mapped read-only into the address space: its pages are shared with the page cache, nothing is copied.
/// A file that another process cuts short while it is mapped ends the process at the next read of the lost part (the operating system's
/// rule for every mapping, which no managed code can catch): <see cref="LoadResident"/> copies the file instead.
/// </summary>
internal sealed unsafe class MappedFile : MemoryBlock
{
    private const int CopyChunk = 16 << 20;

    private readonly MemoryMappedFile _file;
    private readonly MemoryMappedViewAccessor _view;
    private readonly nint _start;

    private MappedFile(MemoryMappedFile file, MemoryMappedViewAccessor view, byte* start, long length)
        : base(start, length)
    {
        _file = file;
        _view = view;
        _start = (nint)start;
    }

    /// <summary>Maps a whole file.</summary>
    /// <param name="path">A regular file of at least one byte.</param>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="IOException">The file is empty, is not a regular file, or cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">The file may not be read.</exception>
    public static MappedFile Open(string path)
    {
        Check(path);
        using SafeFileHandle handle = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.Read);
        // The handle's own length, not the directory's: the file may have been replaced since it was looked up.
        long length = RandomAccess.GetLength(handle);
        if (length == 0)
        {
            throw new IOException($"{path}: the file is empty.");
        }

        MemoryMappedFile file = MemoryMappedFile.CreateFromFile(handle, null, length, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: true);
        try
        {
            MemoryMappedViewAccessor view = file.CreateViewAccessor(0, length, MemoryMappedFileAccess.Read);
            byte* start = null;
            view.SafeMemoryMappedViewHandle.AcquirePointer(ref start);
            return new MappedFile(file, view, start + view.PointerOffset, length);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Reads a whole file into native memory: immune to later changes of the file, at the price of a copy.</summary>
    /// <param name="path">A regular file of at least one byte.</param>
    /// <param name="progress">Called with the bytes read so far; may be null.</param>
    /// <param name="cancellationToken">Checked between chunks of 16 MB.</param>
    /// <param name="hugePages">Whether the system is asked for large pages.</param>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="IOException">The file is empty, is not a regular file, shrank while it was read, or cannot be read.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static AlignedBuffer LoadResident(string path, Action<long>? progress, CancellationToken cancellationToken, bool hugePages = false)
    {
        Check(path);
        using SafeFileHandle handle = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.Read, FileOptions.SequentialScan);
        long length = RandomAccess.GetLength(handle);
        AlignedBuffer buffer = AlignedBuffer.Allocate(length, hugePages);
        try
        {
            for (long done = 0; done < length;)
            {
                cancellationToken.ThrowIfCancellationRequested();
                int read = RandomAccess.Read(handle, buffer.Writable(done, (int)Math.Min(CopyChunk, length - done)), done);
                done += read > 0 ? read : throw new EndOfStreamException($"{path}: ended after {done} of {length} bytes.");
                progress?.Invoke(done);
            }

            return buffer;
        }
        catch
        {
            buffer.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public override void Forget(long offset, long length)
    {
        ByteRegion range = new(this, offset, length);
        AddReference();
        try
        {
            PageAdvice.Forget((nint)(_start + offset), range.Length);
        }
        finally
        {
            Release();
        }
    }

    /// <inheritdoc/>
    protected override void Free()
    {
        _view.SafeMemoryMappedViewHandle.ReleasePointer();
        _view.Dispose();
        _file.Dispose();
    }

    // Pipes and devices have length 0 too: refusing it before the open keeps a pipe from blocking for ever.
    private static void Check(string path)
    {
        FileInfo info = new(path);
        if (!info.Exists)
        {
            throw new FileNotFoundException(Directory.Exists(path) ? $"{path}: expected a file, found a directory." : $"{path}: no such file.", path);
        }

        if ((info.ResolveLinkTarget(returnFinalTarget: true) as FileInfo ?? info).Length == 0)
        {
            throw new IOException($"{path}: the file is empty (or not a regular file).");
        }
    }
}
