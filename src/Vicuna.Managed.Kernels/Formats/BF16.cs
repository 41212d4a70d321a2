using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Vicuna.Managed.Kernels.Isa;

namespace Vicuna.Managed.Kernels.Formats;

/// <summary>bfloat16: the upper 16 bits of a binary32, little-endian, row-major as mapped from the file. Widening is a shift.</summary>
internal readonly struct BF16 : IWeightFormat<BF16>, IFloatLoader
{
    /// <inheritdoc/>
    public static string Name => "bf16";

    /// <inheritdoc/>
    public static int BlockElements => 1;

    /// <inheritdoc/>
    public static int BlockBytes => 2;

    /// <inheritdoc/>
    public static int ElementBytes => 2;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float LoadScalar(ref readonly byte source) => BitConverter.Int32BitsToSingle(Unsafe.ReadUnaligned<ushort>(in source) << 16);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Load256(ref readonly byte source)
    {
        Vector128<ushort> bits = Unsafe.ReadUnaligned<Vector128<ushort>>(in source);
        return (System.Runtime.Intrinsics.X86.Avx2.ConvertToVector256Int32(bits) << 16).AsSingle();
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load512(ref readonly byte source)
    {
        Vector256<ushort> bits = Unsafe.ReadUnaligned<Vector256<ushort>>(in source);
        return (System.Runtime.Intrinsics.X86.Avx512F.ConvertToVector512Int32(bits) << 16).AsSingle();
    }

    /// <inheritdoc/>
    public static void Dequantize(ReadOnlySpan<byte> blocks, Span<float> destination) => RowMajor.Widen<BF16>(blocks, destination);

    /// <inheritdoc/>
    public static void DequantizeVector<TIsa>(ReadOnlySpan<byte> blocks, Span<float> destination)
        where TIsa : struct, IIsa => RowMajor.WidenVector<BF16, TIsa>(blocks, destination);

    /// <inheritdoc/>
    public static void Multiply<TIsa>(
        ReadOnlySpan<byte> rows, int rowCount, int columns, ReadOnlySpan<float> activations, int tokens, Span<float> destination, int destinationStride, Span<float> scratch)
        where TIsa : struct, IIsa =>
        RowMajor.Multiply<BF16, TIsa>(rows, rowCount, columns, activations, tokens, destination, destinationStride, scratch);
}
