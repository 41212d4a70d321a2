using System.Runtime.InteropServices;
using Vicuna.Managed.Kernels.Formats;
using Vicuna.Managed.Kernels.Formats.Packed;
using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Kernels.Matmul;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Kernels.Threading;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.Kernels;

/// <summary>What every packed format promises: all tiers the same bits, and errors within what its numbers can hold.</summary>
public sealed class PackedTests
{
    public static TheoryData<string> Formats() => [.. MatrixPacker.Formats];

    [Theory]
    [MemberData(nameof(Formats))]
    public void Run_EveryTierTokensAndShape_GivesTheBitsOfTheScalarTwinAlone(string format)
    {
        Random random = new(1);
        foreach ((int rows, int columns) in new[] { (1, 1), (15, 31), (16, 32), (17, 33), (48, 64), (70, 100), (37, 544), (130, 96) })
        {
            float[] weights = Normal(rows * columns, random);
            using AlignedBuffer bytes = Regions.Copy(MemoryMarshal.AsBytes(weights.AsSpan()).ToArray());
            using WorkerPool pool = new(3, MatmulJob.ScratchElements(columns + 64));
            using Packed scalar = new(format, bytes, rows, columns, IsaTier.Scalar, pool);
            foreach (int tokens in new[] { 1, 2, 3, 4, 5, 7, 8, 9, 12, 13, 16, 21, 25 })
            {
                float[] x = Normal(tokens * columns, random);
                float[] expected = [.. Enumerable.Range(0, tokens).SelectMany(t => scalar.Multiply(x[(t * columns)..((t + 1) * columns)], 1))];
                foreach (IsaTier tier in IsaTiers.Supported)
                {
                    using Packed packed = new(format, bytes, rows, columns, tier, pool);
                    KernelCases.AssertSameBits(expected, packed.Multiply(x, tokens), $"{tier} [{rows}, {columns}], {tokens} tokens");
                }
            }
        }
    }

    [Theory]
    [InlineData("q8", 0.0055)]
    [InlineData("q4", 0.083)]
    public void Pack_NormalWeights_LosesNoMoreThanStated(string format, double relativeError)
    {
        Random random = new(2);
        float[] weights = Normal(64 * 256, random);
        using AlignedBuffer bytes = Regions.Copy(MemoryMarshal.AsBytes(weights.AsSpan()).ToArray());
        using WorkerPool pool = new(2, MatmulJob.ScratchElements(256));
        using Packed packed = new(format, bytes, 64, 256, IsaTiers.Best, pool);
        double error = 0;
        double size = 0;
        float[] row = new float[256];
        for (int r = 0; r < 64; r++)
        {
            packed.Matrix.DequantizeRow(r, row);
            for (int k = 0; k < 256; k++)
            {
                error += Math.Pow(row[k] - weights[(r * 256) + k], 2);
                size += Math.Pow(weights[(r * 256) + k], 2);
            }
        }

        Assert.InRange(Math.Sqrt(error / size), relativeError * 0.95, relativeError);
    }

    [Theory]
    [InlineData("q8", 0.006)]
    [InlineData("q4", 0.09)]
    public void Run_NormalWeightsAndActivations_LosesNoMoreThanStated(string format, double relativeError)
    {
        Random random = new(3);
        float[] weights = Normal(64 * 512, random);
        float[] x = Normal(20 * 512, random);
        x[100] = 300; // an outlier must not blot out its neighbours
        using AlignedBuffer bytes = Regions.Copy(MemoryMarshal.AsBytes(weights.AsSpan()).ToArray());
        using WorkerPool pool = new(2, MatmulJob.ScratchElements(512));
        using Packed packed = new(format, bytes, 64, 512, IsaTiers.Best, pool);
        float[] expected = WeightFormats.Find("f32")!.Open(bytes.Region, 64, 512, IsaTier.Scalar).Multiply(IsaTier.Scalar, pool, x, 20);
        float[] found = packed.Multiply(x, 20);
        double error = Math.Sqrt(expected.Zip(found, (a, b) => Math.Pow(a - b, 2)).Sum() / expected.Sum(a => (double)a * a));
        Assert.InRange(error, 0, relativeError);
    }

    [Theory]
    [InlineData("q8_0", "q8")]
    [InlineData("q4_0", "q4")]
    public void Pack_StoredInTheSameNumbers_LosesNothing(string stored, string format)
    {
        Random random = new(4);
        foreach (DataKind kind in new[] { DataKind.ZeroMean, DataKind.Zero, DataKind.LargeRange })
        {
            StoredMatrix matrix = StoredMatrix.Create(WeightFormats.Find(stored)!, kind, 21, 160, random);
            using AlignedBuffer bytes = Regions.Copy(matrix.Bytes);
            using WorkerPool pool = new(2, MatmulJob.ScratchElements(160));
            WeightMatrix packed = MatrixPacker.Pack(format, matrix.Format.Open(bytes.Region, 21, 160, IsaTier.Scalar), IsaTier.Scalar, pool);
            float[] row = new float[160];
            for (int r = 0; r < 21; r++)
            {
                packed.DequantizeRow(r, row);
                KernelCases.AssertSameBits(matrix.Values.AsSpan(r * 160, 160), row, $"{kind}, row {r}");
            }

            Assert.Equal(format, MatrixPacker.LosslessFor(stored));
            packed.Region.Block.Dispose();
        }
    }

    [Theory]
    [MemberData(nameof(Formats))]
    public void Pack_WeightsAtTheLimits_StayWithinAStep(string format)
    {
        foreach (float size in new[] { 0f, float.Epsilon, 1e-42f, 1e-8f, 1f, 1e4f, 3e38f })
        {
            float[] weights = [.. Enumerable.Range(0, 32).Select(i => size * ((((i * 7) % 32) - 16) / 16f))];
            using AlignedBuffer bytes = Regions.Copy(MemoryMarshal.AsBytes(weights.AsSpan()).ToArray());
            using WorkerPool pool = new(1, MatmulJob.ScratchElements(64));
            using Packed packed = new(format, bytes, 1, 32, IsaTiers.Best, pool);
            float[] row = new float[32];
            packed.Matrix.DequantizeRow(0, row);
            // Scales are halves: beyond their range a group is cut to its ends, below it becomes zero.
            double step = size > 1e5 ? size : Math.Max(size / 7.5, 6e-8 * 8);
            Assert.All(row, (value, i) => Assert.InRange(value - weights[i], -step, step));
        }
    }

    [Theory]
    [MemberData(nameof(Formats))]
    public void Pack_WeightThatIsNotFinite_Throws(string format)
    {
        foreach (float special in new[] { float.NaN, float.PositiveInfinity, float.NegativeInfinity })
        {
            float[] weights = new float[40 * 64];
            weights[(33 * 64) + 5] = special;
            using AlignedBuffer bytes = Regions.Copy(MemoryMarshal.AsBytes(weights.AsSpan()).ToArray());
            using WorkerPool pool = new(2, MatmulJob.ScratchElements(64));
            long before = AlignedBuffer.AllocatedBytes;
            NotFiniteNumberException error = Assert.Throws<NotFiniteNumberException>(() => new Packed(format, bytes, 40, 64, IsaTiers.Best, pool));
            Assert.Contains("33", error.Message, StringComparison.Ordinal);
            Assert.True(AlignedBuffer.AllocatedBytes <= before);
        }
    }

    [Theory]
    [MemberData(nameof(Formats))]
    public void Run_ActivationThatIsNotFinite_ReachesItsTokenOnly(string format)
    {
        Random random = new(5);
        using AlignedBuffer bytes = Regions.Copy(MemoryMarshal.AsBytes(Normal(20 * 70, random).AsSpan()).ToArray());
        using WorkerPool pool = new(2, MatmulJob.ScratchElements(96));
        foreach (IsaTier tier in IsaTiers.Supported)
        {
            using Packed packed = new(format, bytes, 20, 70, tier, pool);
            foreach (int tokens in new[] { 1, 6 })
            {
                for (int at = 0; at < tokens * 70; at += 11)
                {
                    float[] x = Normal(tokens * 70, random);
                    x[at] = at % 2 == 0 ? float.NaN : float.NegativeInfinity;
                    Assert.All(packed.Multiply(x, tokens), (value, i) => Assert.Equal(i / 20 != at / 70, float.IsFinite(value)));
                }
            }
        }
    }

    [Fact]
    public void Run_LargestNumbersEverywhere_AreExact()
    {
        // 32 products of the largest integers, 16 of them in one lane: what wraps on the way must come back.
        foreach ((string format, string stored, byte fill, double weight) in new[] { ("q8", "q8_0", (byte)0x81, -127.0), ("q8", "q8_0", (byte)0x80, -128.0), ("q4", "q4_0", (byte)0x00, -8.0), ("q4", "q4_0", (byte)0xff, 7.0) })
        {
            WeightFormat source = WeightFormats.Find(stored)!;
            byte[] block = [.. BitConverter.GetBytes((Half)1f), .. Enumerable.Repeat(fill, source.BlockBytes - 2)];
            using AlignedBuffer bytes = Regions.Copy([.. Enumerable.Repeat(block, 17 * 3).SelectMany(b => b)]);
            using WorkerPool pool = new(1, MatmulJob.ScratchElements(96));
            foreach (IsaTier tier in IsaTiers.Supported)
            {
                WeightMatrix packed = MatrixPacker.Pack(format, source.Open(bytes.Region, 17, 96, tier), tier, pool);
                foreach (float sign in new[] { 1f, -1f })
                {
                    foreach (int tokens in new[] { 1, 13 })
                    {
                        float[] x = [.. Enumerable.Repeat(sign, tokens * 96)];
                        Assert.All(packed.Multiply(tier, pool, x, tokens), value => Assert.Equal(96 * weight * sign, value, 1e-3));
                    }
                }

                packed.Region.Block.Dispose();
            }
        }
    }

    [Theory]
    [MemberData(nameof(Formats))]
    public void Quantize_BetweenGuardPages_StaysInside(string format)
    {
        Random random = new(6);
        foreach ((int rows, int columns) in new[] { (1, 1), (17, 33), (16, 64), (33, 95) })
        {
            using GuardedBuffer guarded = GuardedBuffer.Allocate(rows * columns * sizeof(float));
            foreach (bool atEnd in new[] { true, false })
            {
                float[] weights = Normal(rows * columns, random);
                guarded.Copy<float>(weights, atEnd);
                using WorkerPool pool = new(2, MatmulJob.ScratchElements(columns + 64));
                WeightMatrix source = WeightFormats.Find("f32")!.Open(guarded.Part(rows * columns * sizeof(float), atEnd), rows, columns, IsaTiers.Best);
                WeightMatrix packed = MatrixPacker.Pack(format, source, IsaTiers.Best, pool);
                Assert.Equal(format, packed.Format);
                packed.Region.Block.Dispose();
            }
        }
    }

    private static float[] Normal(int count, Random random) =>
        [.. Enumerable.Range(0, count).Select(_ => (float)(Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble())))];

    private sealed class Packed(string format, AlignedBuffer f32, int rows, int columns, IsaTier tier, WorkerPool pool) : IDisposable
    {
        public WeightMatrix Matrix { get; } = MatrixPacker.Pack(
            format, WeightFormats.Find("f32")!.Open(f32.Region, rows, columns, tier), tier, pool);

        public float[] Multiply(float[] x, int tokens) => Matrix.Multiply(tier, pool, x, tokens);

        public void Dispose() => Matrix.Region.Block.Dispose();
    }
}
