using Vicuna.Managed.Kernels.Memory;

namespace Vicuna.Managed.Weights;

/// <summary>
/// The tensors of a checkpoint, whatever the container and however many files it lies in, together with the memory that holds them.
/// Which tensors a model needs, and of what shape, is not decided here.
/// </summary>
/// <remarks>
/// Where a folder holds both a single file and an index, the single file is taken, as Hugging Face's libraries do. Where there is an index,
/// it decides: a tensor that it does not list, or lists for another file, is left out with a warning; a tensor that it lists and
/// that the file lacks is an error. Disposing the set gives up its blocks; who still computes with one holds a reference of his own
/// (<see cref="MemoryBlock.AddReference"/>).
/// </remarks>
internal sealed class TensorSet : IDisposable
{
    private const int NamesInWarning = 3;

    private TensorSet(IReadOnlyList<MemoryBlock> blocks, IReadOnlyDictionary<string, StoredTensor> tensors, IReadOnlyList<string> warnings)
    {
        Blocks = blocks;
        Tensors = tensors;
        Warnings = warnings;
        FileBytes = blocks.Sum(block => block.Length);
    }

    /// <summary>The tensors by name; names compare by their characters' codes.</summary>
    public IReadOnlyDictionary<string, StoredTensor> Tensors { get; }

    /// <summary>The memory of the files, in the order of the files.</summary>
    public IReadOnlyList<MemoryBlock> Blocks { get; }

    /// <summary>Size of all files.</summary>
    public long FileBytes { get; }

    /// <summary>What is odd but does no harm: a line each.</summary>
    public IReadOnlyList<string> Warnings { get; }

    /// <summary>Opens the safetensors checkpoint of a folder.</summary>
    /// <inheritdoc cref="Open"/>
    public static TensorSet OpenSafetensors(string folder, TensorSetOptions? options = null, CancellationToken cancellationToken = default) =>
        Open(folder, CheckpointLayout.Safetensors, options, cancellationToken);

    /// <summary>Opens the checkpoint of a folder.</summary>
    /// <param name="folder">The folder's path.</param>
    /// <param name="layout">The kind of checkpoint.</param>
    /// <param name="options">How to open the files; null for the defaults.</param>
    /// <param name="cancellationToken">Checked before each file, and every 16 MB where files are copied.</param>
    /// <exception cref="ModelFormatException">A file is missing, unreadable, damaged or hostile.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static TensorSet Open(string folder, CheckpointLayout layout, TensorSetOptions? options = null, CancellationToken cancellationToken = default)
    {
        options ??= new TensorSetOptions();
        bool hasIndex = File.Exists(Path.Combine(folder, layout.IndexFile));
        if (File.Exists(Path.Combine(folder, layout.SingleFile)))
        {
            List<string> warnings = hasIndex ? [$"{layout.IndexFile}: ignored, because {layout.SingleFile} is there too"] : [];
            return OpenFiles(folder, [layout.SingleFile], layout.ReadFile, null, options, warnings, cancellationToken);
        }

        if (!hasIndex)
        {
            throw new ModelFormatException(folder, $"expected {layout.SingleFile} or {layout.IndexFile}, found neither", null);
        }

        ShardedIndex index = ReadIndex(folder, layout, options);
        return OpenFiles(folder, index.Shards, layout.ReadFile, index, options, [], cancellationToken);
    }

    /// <summary>Opens a checkpoint that is one file of any name.</summary>
    /// <param name="path">The file's path.</param>
    /// <param name="readFile">Reads the file's tensors.</param>
    /// <inheritdoc cref="Open"/>
    /// <param name="options">How to open the file; null for the defaults.</param>
    /// <param name="cancellationToken">Checked before the file is opened, and every 16 MB where it is copied.</param>
    public static TensorSet OpenFile(
        string path,
        Func<ByteRegion, string, IReadOnlyList<StoredTensor>> readFile,
        TensorSetOptions? options = null,
        CancellationToken cancellationToken = default) =>
        OpenFiles(
            Path.GetDirectoryName(path) ?? string.Empty, [Path.GetFileName(path)], readFile, null, options ?? new TensorSetOptions(), [], cancellationToken);

    /// <summary>Takes over files that are in memory already, for example a model embedded in an assembly.</summary>
    /// <param name="files">The files; the set disposes their blocks, at once where it fails.</param>
    /// <param name="readFile">Reads the tensors of one file.</param>
    /// <param name="index">The index that goes with the files; null where no tensor may be in two of them.</param>
    /// <exception cref="ModelFormatException">A file is missing, damaged or hostile.</exception>
    public static TensorSet FromBlocks(
        IReadOnlyList<(string FileName, MemoryBlock Block)> files,
        Func<ByteRegion, string, IReadOnlyList<StoredTensor>> readFile,
        ShardedIndex? index = null) =>
        Assemble(files, readFile, index, [], CancellationToken.None);

    /// <summary>The same files with other names for their tensors: disposing either set gives up the memory of both.</summary>
    /// <param name="rename">The new name of a tensor, or null to leave it out; different ones for different tensors.</param>
    public TensorSet Renamed(Func<string, string?> rename)
    {
        Dictionary<string, StoredTensor> tensors = new(StringComparer.Ordinal);
        foreach (StoredTensor tensor in Tensors.Values)
        {
            if (rename(tensor.Info.Name) is { } name)
            {
                tensors.Add(name, tensor with { Info = tensor.Info with { Name = name } });
            }
        }

        return new TensorSet(Blocks, tensors, Warnings);
    }

    /// <summary>Gives up the memory of the files.</summary>
    public void Dispose()
    {
        foreach (MemoryBlock block in Blocks)
        {
            block.Dispose();
        }
    }

    private static ShardedIndex ReadIndex(string folder, CheckpointLayout layout, TensorSetOptions options)
    {
        string path = Path.Combine(folder, layout.IndexFile);
        long length = LengthOf(path, options);
        if (length is 0 or > ShardedIndex.MaxBytes)
        {
            throw new ModelFormatException(layout.IndexFile, $"expected 1 to {ShardedIndex.MaxBytes} bytes, found {length}", null);
        }

        using MemoryBlock block = OpenBlock(path, length, new TensorSetOptions { Resident = true }, null, CancellationToken.None);
        return ShardedIndex.Read(block.Bytes(0, (int)block.Length), layout.IndexFile, layout.ShardSuffix);
    }

    private static TensorSet OpenFiles(
        string folder,
        IReadOnlyList<string> names,
        Func<ByteRegion, string, IReadOnlyList<StoredTensor>> readFile,
        ShardedIndex? index,
        TensorSetOptions options,
        List<string> warnings,
        CancellationToken cancellationToken)
    {
        // All of them before the first is opened: a missing last file is known at once, not after gigabytes have been copied.
        long[] lengths = [.. names.Select(name => LengthOf(Path.Combine(folder, name), options))];
        long total = lengths.Sum();
        long done = 0;
        List<(string FileName, MemoryBlock Block)> files = [];
        try
        {
            foreach ((string name, long length) in names.Zip(lengths))
            {
                cancellationToken.ThrowIfCancellationRequested();
                long before = done;
                Action<long>? progress = options.Progress is { } report ? bytes => report(name, before + bytes, total) : null;
                files.Add((name, OpenBlock(Path.Combine(folder, name), length, options, progress, cancellationToken)));
                done += length;
            }
        }
        catch
        {
            files.ForEach(file => file.Block.Dispose());
            throw;
        }

        return Assemble(files, readFile, index, warnings, cancellationToken);
    }

    // Owns the files' blocks from its first line on.
    private static TensorSet Assemble(
        IReadOnlyList<(string FileName, MemoryBlock Block)> files,
        Func<ByteRegion, string, IReadOnlyList<StoredTensor>> readFile,
        ShardedIndex? index,
        List<string> warnings,
        CancellationToken cancellationToken)
    {
        try
        {
            Dictionary<string, StoredTensor> tensors = new(StringComparer.Ordinal);
            foreach ((string fileName, MemoryBlock block) in files)
            {
                cancellationToken.ThrowIfCancellationRequested();
                AddFile(readFile(block.Region, fileName), fileName, index, tensors, warnings);
            }

            CheckAgainst(index, tensors, warnings);
            return new TensorSet([.. files.Select(file => file.Block)], tensors, warnings);
        }
        catch
        {
            foreach ((_, MemoryBlock block) in files)
            {
                block.Dispose();
            }

            throw;
        }
    }

    private static void AddFile(
        IReadOnlyList<StoredTensor> found, string fileName, ShardedIndex? index, Dictionary<string, StoredTensor> tensors, List<string> warnings)
    {
        List<string> leftOut = [];
        int leftOutCount = 0;
        foreach (StoredTensor tensor in found)
        {
            string name = tensor.Info.Name;
            string? home = index is null ? fileName : index.WeightMap.GetValueOrDefault(name);
            if (home != fileName)
            {
                if (leftOutCount++ < NamesInWarning)
                {
                    leftOut.Add($"{ModelFormatException.Quote(name)} ({(home is null ? "not in the index" : $"the index says {home}")})");
                }
            }
            else if (!tensors.TryAdd(name, tensor))
            {
                throw new ModelFormatException(fileName, $"expected each tensor once, found it in {tensors[name].Info.FileName} too", name);
            }
        }

        if (leftOutCount > 0)
        {
            warnings.Add($"{fileName}: left out {leftOutCount} tensors: {string.Join(", ", leftOut)}{(leftOutCount > leftOut.Count ? ", ..." : string.Empty)}");
        }
    }

    private static void CheckAgainst(ShardedIndex? index, Dictionary<string, StoredTensor> tensors, List<string> warnings)
    {
        if (index is null)
        {
            return;
        }

        foreach ((string name, string shard) in index.WeightMap)
        {
            if (!tensors.ContainsKey(name))
            {
                throw new ModelFormatException(shard, $"expected this tensor by {index.FileName}, found none of the name", name);
            }
        }

        long bytes = tensors.Values.Sum(tensor => tensor.Info.ByteLength);
        if (index.TotalSize is long promised && promised != bytes)
        {
            warnings.Add($"{index.FileName}: total_size is {promised}, the tensors take {bytes} bytes");
        }
    }

    private static long LengthOf(string path, TensorSetOptions options) => Reading(path, () =>
    {
        FileInfo info = new(path);
        if (!info.Exists)
        {
            throw new FileNotFoundException("no such file");
        }

        if (info.ResolveLinkTarget(returnFinalTarget: true) is FileInfo target)
        {
            info = options.AllowSymlinks ? target : throw new IOException("it is a symbolic link, which the options forbid");
        }

        return info.Length;
    });

    private static MemoryBlock OpenBlock(string path, long length, TensorSetOptions options, Action<long>? progress, CancellationToken cancellationToken)
    {
        MemoryBlock block = Reading<MemoryBlock>(path, () => options.Resident
            ? MappedFile.LoadResident(path, progress, cancellationToken, options.HugePages)
            : MappedFile.Open(path));
        if (block.Length != length)
        {
            block.Dispose();
            throw new ModelFormatException(Path.GetFileName(path), $"expected {length} bytes, found {block.Length}: the file has just been changed", null);
        }

        if (!options.Resident)
        {
            progress?.Invoke(length);
        }

        return block;
    }

    private static T Reading<T>(string path, Func<T> action)
    {
        try
        {
            return action();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ModelFormatException(Path.GetFileName(path), $"expected a readable file, found: {e.Message}", null, e);
        }
    }
}
