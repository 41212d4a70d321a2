using Vicuna.Managed.Kernels.Formats;
using Vicuna.Managed.Kernels.Gemm;
using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Kernels.Matmul;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Kernels.Threading;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.Kernels;

/// <summary>Products of computed matrices against plain loops; all tiers and numbers of threads give the same bits.</summary>
public sealed class GemmTests
{
    private static readonly (int M, int N, int K)[] Sizes = [(1, 1, 1), (12, 32, 7), (13, 33, 9), (5, 70, 300), (97, 31, 64), (24, 64, 513)];

    [Fact]
    public void SmallGemm_OfEverySizeAndOrientation_IsThePlainProductInEveryTier()
    {
        foreach ((int m, int n, int k) in Sizes)
        {
            foreach ((bool aRows, bool bRows, bool add) in (ReadOnlySpan<(bool, bool, bool)>)[(true, true, false), (true, false, true), (false, true, true), (false, false, false)])
            {
                float[] a = Random(m * k, 1);
                float[] b = Random(k * n, 2);
                float[] start = Random(m * n, 3);
                float[]? first = null;
                foreach (IsaTier tier in IsaTiers.Supported)
                {
                    float[] c = [.. start];
                    Multiply(tier, a, aRows, b, bRows, m, n, k, c, add);
                    first ??= c;
                    Assert.Equal(first, c);
                }

                Close(m, n, k, (i, l) => aRows ? a[(i * k) + l] : a[(l * m) + i], (l, j) => bRows ? b[(j * k) + l] : b[(l * n) + j], add ? start : null, first!);
            }
        }
    }

    [Fact]
    public void Tile_AtGuardPages_StaysInside()
    {
        const int depth = 5;
        using GuardedBuffer left = GuardedBuffer.Allocate(depth * GemmTile.Rows * sizeof(float));
        using GuardedBuffer right = GuardedBuffer.Allocate(depth * GemmTile.Columns * sizeof(float));
        const int stride = 40;
        const int elements = ((GemmTile.Rows - 1) * stride) + GemmTile.Columns;
        using GuardedBuffer output = GuardedBuffer.Allocate(elements * sizeof(float));
        foreach (bool atEnd in (bool[])[true, false])
        {
            foreach (IsaTier tier in IsaTiers.Supported)
            {
                Span<float> a = left.Slice<float>(depth * GemmTile.Rows, atEnd);
                Span<float> b = right.Slice<float>(depth * GemmTile.Columns, atEnd);
                Span<float> c = output.Slice<float>(elements, atEnd);
                a.Fill(2);
                b.Fill(3);
                Tile(tier, a, b, depth, c, stride);
                Assert.Equal(30, c[0]);
                Assert.Equal(30, c[^1]);
                Assert.True(float.IsNaN(c[GemmTile.Columns])); // between two rows nothing is written
            }
        }
    }

    public static TheoryData<string, int, int, int> Projections() => new()
    {
        { "f32", 5, 33, 70 },
        { "f16", 130, 530, 64 },
        { "bf16", 1, 12, 32 },
        { "q8_0", 205, 40, 96 },
    };

    [Theory]
    [MemberData(nameof(Projections))]
    public void Gradients_OfAProjection_ArePlainProductsForAnyThreadCount(string format, int tokens, int rows, int columns)
    {
        float[] weights = Random(rows * columns, 4);
        float[] gradient = Random(tokens * rows, 5);
        float[] x = Random(tokens * columns, 6);
        float[]? firstInput = null;
        float[]? firstWeight = null;
        StoredMatrix matrix = StoredMatrix.Create(WeightFormats.Find(format)!, DataKind.ZeroMean, rows, columns, new Random(7));
        foreach (IsaTier tier in IsaTiers.Supported)
        {
            foreach (int threads in (int[])[1, 2, 7])
            {
                using AlignedBuffer bytes = Regions.Copy(matrix.Bytes);
                WeightMatrix opened = matrix.Format.Open(new ByteRegion(bytes, 0, bytes.Length), rows, columns, tier);
                using WorkerPool pool = new(threads, WeightGradient.ScratchElements(columns));
                using AlignedBuffer dy = Buffer(gradient);
                using AlignedBuffer input = Buffer(x);
                using AlignedBuffer dx = Buffer(x);
                using AlignedBuffer dw = Buffer(weights);
                using InputGradient inputGradient = new(tier, tokens + 3, columns + 5);
                inputGradient.Run(pool, opened, dy, dx, tokens, add: true, CancellationToken.None);
                using WeightGradient weightGradient = new(tier, tokens, rows, columns);
                weightGradient.Add(pool, dy, input, tokens, rows, columns, dw, CancellationToken.None);
                float[] streamed = new float[rows * columns];
                weightGradient.Stream(pool, dy, input, tokens, rows, columns, (row, part, width) => part.CopyTo(streamed.AsSpan(row * width)), CancellationToken.None);
                firstInput ??= dx.Floats(0, x.Length).ToArray();
                firstWeight ??= streamed;
                Assert.Equal(firstInput, dx.Floats(0, x.Length).ToArray());
                Assert.Equal(firstWeight, streamed);
                Close(rows, columns, tokens, (i, l) => gradient[(l * rows) + i], (l, j) => x[(l * columns) + j], weights, dw.Floats(0, weights.Length).ToArray());
            }
        }

        Close(tokens, columns, rows, (i, l) => gradient[(i * rows) + l], (l, j) => matrix.Values[(l * columns) + j], x, firstInput!);
    }

    private static void Multiply(IsaTier tier, float[] a, bool aRows, float[] b, bool bRows, int m, int n, int k, float[] c, bool add)
    {
        float[] scratch = new float[SmallGemm.ScratchElements(m, n, k)];
        GemmOperand left = aRows ? GemmOperand.Rows(a, k) : GemmOperand.Columns(a, m);
        GemmOperand right = bRows ? GemmOperand.Rows(b, k) : GemmOperand.Columns(b, n);
        switch (tier)
        {
            case IsaTier.Avx512:
                SmallGemm.Multiply<Avx512>(left, right, m, n, k, c, n, add, scratch);
                break;
            case IsaTier.Avx2:
                SmallGemm.Multiply<Avx2>(left, right, m, n, k, c, n, add, scratch);
                break;
            default:
                SmallGemm.Multiply<Scalar>(left, right, m, n, k, c, n, add, scratch);
                break;
        }
    }

    private static void Tile(IsaTier tier, ReadOnlySpan<float> a, ReadOnlySpan<float> b, int depth, Span<float> c, int stride)
    {
        switch (tier)
        {
            case IsaTier.Avx512:
                GemmTile.Multiply<Avx512>(a, b, depth, c, stride, add: false);
                break;
            case IsaTier.Avx2:
                GemmTile.Multiply<Avx2>(a, b, depth, c, stride, add: false);
                break;
            default:
                GemmTile.Multiply<Scalar>(a, b, depth, c, stride, add: false);
                break;
        }
    }

    private static void Close(int m, int n, int k, Func<int, int, float> a, Func<int, int, float> b, float[]? start, float[] found)
    {
        for (int i = 0; i < m; i++)
        {
            for (int j = 0; j < n; j++)
            {
                double sum = start?[(i * n) + j] ?? 0;
                double size = Math.Abs(sum);
                for (int l = 0; l < k; l++)
                {
                    double product = (double)a(i, l) * b(l, j);
                    sum += product;
                    size += Math.Abs(product);
                }

                Assert.Equal(sum, found[(i * n) + j], 1e-6 * (1 + size));
            }
        }
    }

    private static float[] Random(int count, int seed)
    {
        Random random = new(seed);
        return [.. Enumerable.Range(0, count).Select(_ => (random.NextSingle() * 2) - 1)];
    }

    private static AlignedBuffer Buffer(float[] values)
    {
        AlignedBuffer buffer = AlignedBuffer.AllocateFloats(values.Length);
        values.CopyTo(buffer.Floats(0, values.Length));
        return buffer;
    }
}
