using System.Runtime.InteropServices;
using Vicuna.Managed.Kernels.Formats;
using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Kernels.Memory;

namespace Vicuna.Managed.Kernels.Matmul;

/// <summary>A matrix closed over its format and instruction set: the JIT inlines everything below.</summary>
internal sealed class WeightMatrix<TFormat, TIsa> : WeightMatrix
    where TFormat : struct, IWeightFormat<TFormat>
    where TIsa : struct, IIsa
{
    // Spans end at 2 GiB: longer runs of rows are taken in pieces.
    private const int MaxRunBytes = 1 << 30;

    private readonly int _rowBytes;

    /// <summary>Takes the stored bytes.</summary>
    /// <exception cref="ArgumentException">The region's length is not that of the shape, or a row is not a whole number of blocks.</exception>
    public WeightMatrix(ByteRegion region, int rows, int columns)
        : base(TFormat.Name, region, rows, columns)
    {
        if (rows < 0 || columns < 0 || columns % TFormat.BlockElements != 0)
        {
            throw new ArgumentException($"A {TFormat.Name} matrix [{rows}, {columns}] does not have rows of whole blocks of {TFormat.BlockElements}.", nameof(columns));
        }

        long rowBytes = (long)(columns / TFormat.BlockElements) * TFormat.BlockBytes;
        if (rowBytes > MaxRunBytes || region.Length != rows * rowBytes)
        {
            throw new ArgumentException($"A {TFormat.Name} matrix [{rows}, {columns}] takes {rows} x {rowBytes} bytes; the region has {region.Length}.", nameof(region));
        }

        _rowBytes = (int)rowBytes;
    }

    /// <inheritdoc/>
    public override float ActivationScale => TFormat.ActivationScale;

    /// <inheritdoc/>
    public override ActivationKind ActivationsFor(int tokens) =>
        tokens < FloatPanel.MinTokens || typeof(TIsa) == typeof(Scalar) ? ActivationKind.Floats : ActivationKind.FloatPanel;

    /// <inheritdoc/>
    public override void MultiplyPrepared(
        int start, int end, ActivationKind kind, ReadOnlySpan<byte> activations, int tokens, Span<float> destination, Span<float> scratch)
    {
        if (tokens == 0)
        {
            return; // there is no destination to slice
        }

        ReadOnlySpan<float> x = MemoryMarshal.Cast<byte, float>(activations);
        int run = Math.Max(1, MaxRunBytes / Math.Max(1, _rowBytes));
        for (int row = start; row < end; row += run)
        {
            int count = Math.Min(run, end - row);
            ReadOnlySpan<byte> stored = Region.Bytes((long)row * _rowBytes, count * _rowBytes);
            if (kind == ActivationKind.FloatPanel)
            {
                FloatPanel.Multiply<TFormat, TIsa>(stored, count, Columns, x, tokens, destination[row..], Rows, scratch);
            }
            else
            {
                TFormat.Multiply<TIsa>(stored, count, Columns, x, tokens, destination[row..], Rows, scratch);
            }
        }
    }

    /// <inheritdoc/>
    public override void DequantizeRow(int row, Span<float> destination)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(row);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(row, Rows);
        ReadOnlySpan<byte> stored = Region.Bytes((long)row * _rowBytes, _rowBytes);
        if (TFormat.ResultScale == 1f)
        {
            TFormat.DequantizeVector<TIsa>(stored, destination);
        }
        else
        {
            TFormat.Dequantize(stored, destination);
        }
    }
}
