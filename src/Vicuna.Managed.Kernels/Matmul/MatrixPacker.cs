using Vicuna.Managed.Kernels.Formats.Packed;
using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Kernels.Threading;

namespace Vicuna.Managed.Kernels.Matmul;

/// <summary>
/// Turns a stored matrix into a packed one, blocks of rows in parallel: without loss where the stored numbers are the packed format's own,
/// otherwise by quantizing anew.
/// </summary>
internal sealed class MatrixPacker<TFormat> : MatrixPacker
    where TFormat : struct, IPackedFormat<TFormat>
{
    private const int LosslessBlockColumns = 32;

    private readonly WeightMatrix _source;
    private readonly AlignedBuffer _target;
    private readonly int _groups;
    private readonly bool _lossless;
    private int _badRow = int.MaxValue;

    private MatrixPacker(WeightMatrix source, bool hugePages)
    {
        _source = source;
        _groups = PackedLayout.Groups(source.Columns);
        _lossless = source.Format == TFormat.LosslessSource;
        _target = AlignedBuffer.Allocate(PackedLayout.Bytes(source.Rows, source.Columns, TFormat.GroupBytes), hugePages);
    }

    /// <inheritdoc cref="MatrixPacker.Pack"/>
    public static WeightMatrix Pack(WeightMatrix source, IsaTier tier, WorkerPool pool, bool hugePages, CancellationToken cancellationToken)
    {
        MatrixPacker<TFormat> job = new(source, hugePages);
        try
        {
            pool.Run(job, PackedLayout.Blocks(source.Rows), 1, cancellationToken);
            if (job._badRow != int.MaxValue)
            {
                throw new NotFiniteNumberException($"Row {job._badRow} of [{source.Rows}, {source.Columns}] holds a number that is not finite.");
            }

            ByteRegion region = new(job._target, 0, job._target.Length);
            return IsaTiers.Require(tier) switch
            {
                IsaTier.Avx512 => new PackedMatrix<TFormat, Avx512>(region, source.Rows, source.Columns),
                IsaTier.Avx2 => new PackedMatrix<TFormat, Avx2>(region, source.Rows, source.Columns),
                _ => new PackedMatrix<TFormat, Scalar>(region, source.Rows, source.Columns),
            };
        }
        catch
        {
            job._target.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public override void Run(int start, int end, Span<float> scratch)
    {
        int blockBytes = _groups * TFormat.GroupBytes;
        for (int block = start; block < end; block++)
        {
            int first = block * PackedLayout.BlockRows;
            int rows = Math.Min(PackedLayout.BlockRows, _source.Rows - first);
            Span<byte> target = _target.Writable((long)block * blockBytes, blockBytes);
            if (_lossless)
            {
                Repack(first, rows, target);
            }
            else
            {
                Quantize(first, rows, target, scratch);
            }
        }
    }

    // Group after group: the rows' bytes lie side by side in it, so that it is written while it is in the first-level cache.
    private void Repack(int first, int rows, Span<byte> target)
    {
        int rowBytes = checked((int)(_source.Region.Length / _source.Rows));
        int storedBlock = rowBytes / (_source.Columns / LosslessBlockColumns);
        ReadOnlySpan<byte> stored = _source.Region.Bytes((long)first * rowBytes, rows * rowBytes);
        for (int g = 0; g < _groups; g++)
        {
            Span<byte> group = target.Slice(g * TFormat.GroupBytes, TFormat.GroupBytes);
            for (int row = 0; row < rows; row++)
            {
                TFormat.Repack(stored.Slice((row * rowBytes) + (g * storedBlock), storedBlock), row, group);
            }
        }
    }

    private void Quantize(int first, int rows, Span<byte> target, Span<float> scratch)
    {
        int width = _groups * PackedLayout.GroupColumns;
        for (int row = 0; row < rows; row++)
        {
            Span<float> widened = scratch.Slice(row * width, width);
            widened[_source.Columns..].Clear();
            _source.DequantizeRow(first + row, widened[.._source.Columns]);
        }

        for (int g = 0; g < _groups; g++)
        {
            Span<byte> group = target.Slice(g * TFormat.GroupBytes, TFormat.GroupBytes);
            int bad = TFormat.Quantize(scratch[(g * PackedLayout.GroupColumns)..], width, rows, group);
            if (bad >= 0)
            {
                _badRow = Math.Min(_badRow, first + bad);
                return;
            }
        }
    }
}

/// <summary>Packing by the format's name.</summary>
internal abstract class MatrixPacker : ParallelJob
{
    /// <summary>The packed formats' names.</summary>
    public static IReadOnlyList<string> Formats { get; } = [Q8.Name, Q4.Name];

    /// <summary>Packs a matrix into native memory of its own.</summary>
    /// <param name="format">One of <see cref="Formats"/>.</param>
    /// <param name="source">The stored matrix, <c>[rows, cols]</c>.</param>
    /// <param name="tier">The instruction set that will compute with it.</param>
    /// <param name="pool">The threads that share the work; their scratch must hold <see cref="ScratchElements"/>.</param>
    /// <param name="hugePages">Whether the system is asked for large pages.</param>
    /// <param name="cancellationToken">Checked before each chunk of rows.</param>
    /// <returns>The packed matrix; its region's block is the caller's to dispose.</returns>
    /// <exception cref="ArgumentOutOfRangeException">No such format.</exception>
    /// <exception cref="NotFiniteNumberException">A weight is infinite or NaN.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static WeightMatrix Pack(
        string format, WeightMatrix source, IsaTier tier, WorkerPool pool, bool hugePages = false, CancellationToken cancellationToken = default) => format switch
    {
        "q8" => MatrixPacker<Q8>.Pack(source, tier, pool, hugePages, cancellationToken),
        "q4" => MatrixPacker<Q4>.Pack(source, tier, pool, hugePages, cancellationToken),
        _ => throw new ArgumentOutOfRangeException(nameof(format), format, $"Expected one of {string.Join(", ", Formats)}."),
    };

    /// <summary>Work space of a thread for matrices of up to <paramref name="columns"/> columns, in f32 elements.</summary>
    public static int ScratchElements(int columns) => checked(PackedLayout.Groups(columns) * PackedLayout.GroupColumns * PackedLayout.BlockRows);

    /// <summary>Bytes that a matrix takes in a packed format.</summary>
    /// <param name="format">One of <see cref="Formats"/>.</param>
    /// <param name="rows">Rows, dimensionless.</param>
    /// <param name="columns">Columns, dimensionless.</param>
    public static long PackedBytes(string format, long rows, long columns) =>
        PackedLayout.Bytes(rows, columns, format == Q8.Name ? Q8.GroupBytes : Q4.GroupBytes);

    /// <summary>Name of the packed format that takes a stored format over without loss, or null.</summary>
    public static string? LosslessFor(string storedFormat) =>
        storedFormat == Q8.LosslessSource ? Q8.Name : storedFormat == Q4.LosslessSource ? Q4.Name : null;
}
