using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Kernels.Matmul;
using Vicuna.Managed.Kernels.Memory;

namespace Vicuna.Managed.Kernels.Formats;

/// <summary>The value form of the format <typeparamref name="TFormat"/>.</summary>
internal sealed class WeightFormat<TFormat> : WeightFormat
    where TFormat : struct, IWeightFormat<TFormat>
{
    /// <inheritdoc/>
    public override string Name => TFormat.Name;

    /// <inheritdoc/>
    public override int BlockElements => TFormat.BlockElements;

    /// <inheritdoc/>
    public override int BlockBytes => TFormat.BlockBytes;

    /// <inheritdoc/>
    public override WeightMatrix Open(ByteRegion region, int rows, int columns, IsaTier tier) => IsaTiers.Require(tier) switch
    {
        IsaTier.Avx512 when typeof(TFormat) == typeof(F16) => new HalfMatrix<Avx512>(region, rows, columns),
        IsaTier.Avx2 when typeof(TFormat) == typeof(F16) => new HalfMatrix<Avx2>(region, rows, columns),
        IsaTier.Avx512 => new WeightMatrix<TFormat, Avx512>(region, rows, columns),
        IsaTier.Avx2 => new WeightMatrix<TFormat, Avx2>(region, rows, columns),
        _ => new WeightMatrix<TFormat, Scalar>(region, rows, columns),
    };

    /// <inheritdoc/>
    public override void Dequantize(ReadOnlySpan<byte> blocks, Span<float> destination) => TFormat.Dequantize(blocks, destination);
}
