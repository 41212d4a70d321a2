using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Kernels.Ops;

namespace Vicuna.Managed.Tests.Kernels;

public sealed class LowRankTests
{
    [Theory]
    [InlineData(1, 1, 1)]
    [InlineData(15, 3, 2)]
    [InlineData(16, 8, 1)]
    [InlineData(17, 8, 3)]
    [InlineData(64, 1, 5)]
    [InlineData(172, 4, 2)]
    [InlineData(200, 33, 7)]
    public void Add_OfEveryTierAndRun_GivesTheSameBitsWithinItsBuffers(int rows, int rank, int tokens)
    {
        float[] b = Floats.Random(rows * rank, 2, seed: 1);
        float[] h = Floats.Random(tokens * rank, 3, seed: 2);
        float[] before = Floats.Random(tokens * rows, 1, seed: 3);
        float[] packed = new float[LowRank.PackedElements(rows, rank)];
        for (int row = 0; row < rows; row++)
        {
            LowRank.PackRow(b.AsSpan(row * rank, rank), row, packed);
        }

        double[] expected = new double[before.Length];
        for (int i = 0; i < expected.Length; i++)
        {
            (int token, int row) = (i / rows, i % rows);
            expected[i] = before[i] + (0.75 * Enumerable.Range(0, rank).Sum(k => (double)b[(row * rank) + k] * h[(token * rank) + k]));
        }

        float[]? first = null;
        using GuardedFloats guarded = new(3, Math.Max(packed.Length, before.Length));
        foreach (IsaTier tier in IsaTiers.Supported)
        {
            foreach (bool atEnd in new[] { true, false })
            {
                guarded.AtEnd = atEnd;
                Span<float> y = guarded.Copy(2, before);
                Operations.For(tier).AddLowRank(guarded.Copy(0, packed), rank, guarded.Copy(1, h), tokens, 0.75f, y, rows, rows);
                Floats.AssertClose(expected, y, 1e-5, 1e-5, $"{tier}");
                KernelCases.AssertSameBits(first ??= y.ToArray(), y, $"{tier}");
            }

            // The same in runs of rows, token by token.
            float[] cut = [.. before];
            for (int row = 0; row < rows; row += 48)
            {
                int run = Math.Min(48, rows - row);
                for (int token = 0; token < tokens; token++)
                {
                    Operations.For(tier).AddLowRank(
                        packed.AsSpan(row * rank), rank, h.AsSpan(token * rank, rank), 1, 0.75f, cut.AsSpan((token * rows) + row, run), run, rows);
                }
            }

            KernelCases.AssertSameBits(first!, cut, $"{tier} in runs");
        }
    }

    [Fact]
    public void Add_OfLengthsThatDisagree_Refuses()
    {
        Operations operations = Operations.For(IsaTiers.Best);
        Assert.Throws<ArgumentException>(() => operations.AddLowRank(new float[31], 2, new float[2], 1, 1, new float[16], 16, 16));
        Assert.Throws<ArgumentException>(() => operations.AddLowRank(new float[32], 2, new float[3], 2, 1, new float[32], 16, 16));
        Assert.Throws<ArgumentException>(() => operations.AddLowRank(new float[32], 2, new float[4], 2, 1, new float[31], 16, 16));
        Assert.Throws<ArgumentException>(() => operations.AddLowRank(new float[32], 2, new float[2], 1, 1, new float[16], 16, 15));
    }
}
