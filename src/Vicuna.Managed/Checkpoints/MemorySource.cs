using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Weights;

namespace Vicuna.Managed.Checkpoints;

/// <summary>Files held in memory, for example a model embedded in an assembly. Weights are copied into aligned native memory.</summary>
internal sealed class MemorySource(IReadOnlyDictionary<string, ReadOnlyMemory<byte>> files) : IFileSource
{
    /// <inheritdoc/>
    public string Name => "files in memory";

    /// <inheritdoc/>
    public bool Exists(string fileName) => files.ContainsKey(fileName);

    /// <inheritdoc/>
    public ReadOnlyMemory<byte> Read(string fileName, int maxBytes)
    {
        if (!files.TryGetValue(fileName, out ReadOnlyMemory<byte> bytes))
        {
            throw new ModelFormatException(fileName, "expected the file in memory, found none", item: null);
        }

        return bytes.Length <= maxBytes ? bytes : throw new ModelFormatException(fileName, $"expected at most {maxBytes} bytes, found {bytes.Length}", item: null);
    }

    /// <inheritdoc/>
    public TensorSet OpenTensors(CheckpointLayout layout, TensorSetOptions options, CancellationToken cancellationToken)
    {
        ShardedIndex? index = Exists(layout.SingleFile) ? null : ShardedIndex.Read(Read(layout.IndexFile, ShardedIndex.MaxBytes).Span, layout.IndexFile, layout.ShardSuffix);
        List<(string FileName, MemoryBlock Block)> blocks = [];
        try
        {
            foreach (string shard in index?.Shards ?? [layout.SingleFile])
            {
                cancellationToken.ThrowIfCancellationRequested();
                ReadOnlyMemory<byte> bytes = Read(shard, int.MaxValue);
                AlignedBuffer block = AlignedBuffer.Allocate(bytes.Length, options.HugePages);
                blocks.Add((shard, block));
                bytes.Span.CopyTo(block.Writable(0, bytes.Length));
            }
        }
        catch
        {
            blocks.ForEach(file => file.Block.Dispose());
            throw;
        }

        // FromBlocks disposes the blocks itself where it fails.
        return TensorSet.FromBlocks(blocks, layout.ReadFile, index);
    }
}
