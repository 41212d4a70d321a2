using System.Runtime.InteropServices;
using Vicuna.Managed.Kernels.Isa;

namespace Vicuna.Managed.Kernels.Formats;

/// <summary>IEEE single precision, stored little-endian.</summary>
internal readonly struct F32 : IWeightFormat<F32>
{
    public static string Name => "f32";

    public static int BlockElements => 1;

    public static int BlockBytes => sizeof(float);

    public static void Dequantize(ReadOnlySpan<byte> blocks, Span<float> destination) => MemoryMarshal.Cast<byte, float>(blocks).CopyTo(destination);

    public static void Multiply<TIsa>(ReadOnlySpan<byte> rows, int rowCount, int columns, ReadOnlySpan<float> activations, int tokens, Span<float> destination, int destinationStride, Span<float> scratch)
        where TIsa : struct, IIsa
    {
        ReadOnlySpan<float> w = MemoryMarshal.Cast<byte, float>(rows);
        for (int t = 0; t < tokens; t++)
        {
            for (int r = 0; r < rowCount; r++)
            {
                float sum = 0;
                for (int k = 0; k < columns; k++)
                {
                    sum += w[(r * columns) + k] * activations[(t * columns) + k];
                }

                destination[(t * destinationStride) + r] = sum;
            }
        }
    }
}
