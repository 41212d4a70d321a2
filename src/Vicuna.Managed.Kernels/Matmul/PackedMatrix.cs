using System.Runtime.InteropServices;
using Vicuna.Managed.Kernels.Formats;
using Vicuna.Managed.Kernels.Formats.Packed;
using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Kernels.Memory;

namespace Vicuna.Managed.Kernels.Matmul;

/// <summary>Weights in a packed format: blocks of 16 rows, made by <see cref="MatrixPacker"/>.</summary>
internal sealed class PackedMatrix<TFormat, TIsa> : WeightMatrix
    where TFormat : struct, IPackedFormat<TFormat>
    where TIsa : struct, IIsa
{
    // Blocks that pass by a tile of tokens together, so that the tile is read from the second-level cache.
    private const int BlockRun = 4;

    private const int MostTiles = 3;

    private readonly int _groups;
    private readonly int _blockBytes;

    /// <summary>Takes packed bytes.</summary>
    /// <exception cref="ArgumentException">The region's length is not that of the shape.</exception>
    public PackedMatrix(ByteRegion region, int rows, int columns)
        : base(TFormat.Name, region, rows, columns)
    {
        _groups = PackedLayout.Groups(columns);
        _blockBytes = checked(_groups * TFormat.GroupBytes);
        if (region.Length != PackedLayout.Bytes(rows, columns, TFormat.GroupBytes))
        {
            throw new ArgumentException(
                $"A {TFormat.Name} matrix [{rows}, {columns}] takes {PackedLayout.Blocks(rows)} x {_blockBytes} bytes; the region has {region.Length}.", nameof(region));
        }
    }

    /// <inheritdoc/>
    public override int RowUnit => PackedLayout.BlockRows;

    /// <inheritdoc/>
    public override ActivationKind ActivationsFor(int tokens) => TFormat.Activations;

    /// <inheritdoc/>
    public override void MultiplyPrepared(
        int start, int end, ActivationKind kind, ReadOnlySpan<byte> activations, int tokens, Span<float> destination, Span<float> scratch)
    {
        ReadOnlySpan<int> x = MemoryMarshal.Cast<byte, int>(activations);
        int lastBlock = (end + PackedLayout.BlockRows - 1) / PackedLayout.BlockRows;
        int tiles = PackedLayout.Tiles(tokens);
        for (int first = start / PackedLayout.BlockRows; first < lastBlock; first += BlockRun)
        {
            for (int tile = 0; tile < tiles; tile += MostTiles)
            {
                for (int block = first; block < Math.Min(first + BlockRun, lastBlock); block++)
                {
                    MultiplyTile(block, x, tokens, tile, Math.Min(MostTiles, tiles - tile), destination);
                }
            }
        }
    }

    /// <inheritdoc/>
    public override void DequantizeRow(int row, Span<float> destination)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(row);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(row, Rows);
        ReadOnlySpan<byte> block = Block(row / PackedLayout.BlockRows);
        Span<float> group = stackalloc float[PackedLayout.GroupColumns];
        for (int g = 0; g < _groups; g++)
        {
            TFormat.Dequantize(block.Slice(g * TFormat.GroupBytes, TFormat.GroupBytes), row % PackedLayout.BlockRows, group);
            Span<float> target = destination[(g * PackedLayout.GroupColumns)..];
            group[..Math.Min(group.Length, target.Length)].CopyTo(target);
        }
    }

    private ReadOnlySpan<byte> Block(int block) => Region.Bytes((long)block * _blockBytes, _blockBytes);

    private void MultiplyTile(int block, ReadOnlySpan<int> x, int tokens, int tile, int tiles, Span<float> destination)
    {
        int row = block * PackedLayout.BlockRows;
        int rows = Math.Min(PackedLayout.BlockRows, Rows - row);
        int token = tile * PackedLayout.TileTokens;
        int count = Math.Min(tokens - token, tiles * PackedLayout.TileTokens);
        if (rows == PackedLayout.BlockRows && (tokens == 1 || count == tiles * PackedLayout.TileTokens))
        {
            TFormat.Multiply<TIsa>(Block(block), _groups, x, tokens, tile, tiles, destination[((token * Rows) + row)..], Rows);
            return;
        }

        // Rows and tokens that only fill up are computed all the same, and left behind here.
        Span<float> all = stackalloc float[MostTiles * PackedLayout.TileTokens * PackedLayout.BlockRows];
        TFormat.Multiply<TIsa>(Block(block), _groups, x, tokens, tile, tiles, all, PackedLayout.BlockRows);
        for (int t = 0; t < count; t++)
        {
            all.Slice(t * PackedLayout.BlockRows, rows).CopyTo(destination[(((token + t) * Rows) + row)..]);
        }
    }
}
