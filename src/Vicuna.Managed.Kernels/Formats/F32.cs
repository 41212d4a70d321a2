using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Vicuna.Managed.Kernels.Isa;

namespace Vicuna.Managed.Kernels.Formats;

/// <summary>IEEE single precision (binary32), little-endian, row-major as mapped from the file.</summary>
internal readonly struct F32 : IWeightFormat<F32>, IFloatLoader
{
    /// <inheritdoc/>
    public static string Name => "f32";

    /// <inheritdoc/>
    public static int BlockElements => 1;

    /// <inheritdoc/>
    public static int BlockBytes => 4;

    /// <inheritdoc/>
    public static int ElementBytes => 4;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float LoadScalar(ref readonly byte source) => Unsafe.ReadUnaligned<float>(in source);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Load256(ref readonly byte source) => Unsafe.ReadUnaligned<Vector256<float>>(in source);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load512(ref readonly byte source) => Unsafe.ReadUnaligned<Vector512<float>>(in source);

    /// <inheritdoc/>
    public static void Dequantize(ReadOnlySpan<byte> blocks, Span<float> destination) => RowMajor.Widen<F32>(blocks, destination);

    /// <inheritdoc/>
    public static void DequantizeVector<TIsa>(ReadOnlySpan<byte> blocks, Span<float> destination)
        where TIsa : struct, IIsa => RowMajor.WidenVector<F32, TIsa>(blocks, destination);

    /// <inheritdoc/>
    public static void Multiply<TIsa>(
        ReadOnlySpan<byte> rows, int rowCount, int columns, ReadOnlySpan<float> activations, int tokens, Span<float> destination, int destinationStride, Span<float> scratch)
        where TIsa : struct, IIsa =>
        RowMajor.Multiply<F32, TIsa>(rows, rowCount, columns, activations, tokens, destination, destinationStride, scratch);
}
