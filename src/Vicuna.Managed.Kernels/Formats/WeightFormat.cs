using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Kernels.Matmul;
using Vicuna.Managed.Kernels.Memory;

namespace Vicuna.Managed.Kernels.Formats;

/// <summary>A weight format as a value: what the registry holds, and where the generics are closed.</summary>
internal abstract class WeightFormat
{
    /// <summary>The format's name, in lower case.</summary>
    public abstract string Name { get; }

    /// <summary>Weights per block.</summary>
    public abstract int BlockElements { get; }

    /// <summary>Bytes per block.</summary>
    public abstract int BlockBytes { get; }

    /// <summary>Makes a matrix over stored bytes, with the kernels of a tier.</summary>
    /// <param name="region">The bytes, <c>[rows, cols]</c>.</param>
    /// <param name="rows">Rows, dimensionless.</param>
    /// <param name="columns">Columns, dimensionless.</param>
    /// <param name="tier">The instruction set.</param>
    /// <exception cref="ArgumentException">Shape and length disagree.</exception>
    /// <exception cref="PlatformNotSupportedException">The tier cannot run here.</exception>
    public abstract WeightMatrix Open(ByteRegion region, int rows, int columns, IsaTier tier);

    /// <summary>Widens stored blocks to f32; see <see cref="IWeightFormat{TSelf}.Dequantize"/>.</summary>
    public abstract void Dequantize(ReadOnlySpan<byte> blocks, Span<float> destination);
}
