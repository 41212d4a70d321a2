using System.Runtime.InteropServices;
using Vicuna.Managed.Kernels.Formats;
using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Kernels.Matmul;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Kernels.Threading;

namespace Vicuna.Managed.Tests.Kernels;

/// <summary>Products as tests write them.</summary>
internal static class Products
{
    /// <summary>A run of rows, with activations as they are.</summary>
    public static void MultiplyRows(this WeightMatrix matrix, int start, int end, ReadOnlySpan<float> x, int tokens, Span<float> y, Span<float> scratch) =>
        matrix.MultiplyPrepared(start, end, ActivationKind.Floats, MemoryMarshal.AsBytes(x), tokens, y, scratch);

    /// <summary>The whole product, as the decoder runs it.</summary>
    public static void Multiply(this WeightMatrix matrix, IsaTier tier, WorkerPool pool, AlignedBuffer x, int tokens, AlignedBuffer y)
    {
        using MatmulInput input = new(tier, Math.Max(1, tokens), matrix.Columns);
        input.Set(x, tokens, matrix.Columns);
        MatmulJob job = new();
        job.Add(matrix, y);
        job.Run(pool, input);
    }

    /// <summary>The whole product, as the decoder runs it, in arrays.</summary>
    public static float[] Multiply(this WeightMatrix matrix, IsaTier tier, WorkerPool pool, float[] x, int tokens)
    {
        using AlignedBuffer input = AlignedBuffer.AllocateFloats(x.Length);
        using AlignedBuffer output = AlignedBuffer.AllocateFloats((long)tokens * matrix.Rows);
        x.CopyTo(input.Floats(0, x.Length));
        output.Floats(0, tokens * matrix.Rows).Fill(float.NaN);
        matrix.Multiply(tier, pool, input, tokens, output);
        return output.Floats(0, tokens * matrix.Rows).ToArray();
    }
}
