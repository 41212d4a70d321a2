using System.Runtime.InteropServices;
using Vicuna.Managed.Kernels.Formats;
using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Kernels.Matmul;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Kernels.Threading;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.Kernels;

/// <summary>The product of many tokens, laid out in panels, against the product of each token alone.</summary>
public sealed class PanelTests
{
    public static TheoryData<string, string> Cases() => KernelCases.FormatsAndTiers();

    [Theory]
    [MemberData(nameof(Cases))]
    public void Run_ManyTokens_GivesTheBitsOfEachTokenAlone(string formatName, string tierName)
    {
        WeightFormat format = WeightFormats.Find(formatName)!;
        IsaTier tier = KernelCases.Tier(tierName);
        Random random = new(1);
        // Around the width of a vector, the piece of columns that fits the first-level cache, and several of them.
        int[] columnCounts = format.BlockElements == 1 ? [1, 7, 8, 15, 16, 17, 33, 255, 1023, 1024, 1041, 2100] : [.. new[] { 1, 3, 5 }.Select(blocks => blocks * Math.Max(format.BlockElements, 96))];
        foreach (int columns in columnCounts)
        {
            foreach (int rows in new[] { 1, 3, 4, 16, 37 })
            {
                StoredMatrix stored = StoredMatrix.Create(format, DataKind.ZeroMean, rows, columns, random);
                using AlignedBuffer bytes = Regions.Copy(stored.Bytes);
                WeightMatrix matrix = format.Open(bytes.Region, rows, columns, tier);
                using WorkerPool pool = new(3, MatmulJob.ScratchElements(columns));
                foreach (int tokens in new[] { FloatPanel.MinTokens - 1, FloatPanel.MinTokens, 13, 29 })
                {
                    float[] x = StoredMatrix.Activations(DataKind.ZeroMean, tokens * columns, random);
                    float[] y = matrix.Multiply(tier, pool, x, tokens);
                    for (int token = 0; token < tokens; token++)
                    {
                        float[] alone = matrix.Multiply(tier, pool, x[(token * columns)..((token + 1) * columns)], 1);
                        KernelCases.AssertSameBits(alone, y.AsSpan(token * rows, rows), $"[{rows}, {columns}], token {token} of {tokens}");
                    }
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Run_OneTokenOrMany_AgreesWithF64(string formatName, string tierName)
    {
        WeightFormat format = WeightFormats.Find(formatName)!;
        IsaTier tier = KernelCases.Tier(tierName);
        Random random = new(2);
        int columns = format.BlockElements == 1 ? 1100 : 5 * Math.Max(format.BlockElements, 96);
        foreach (DataKind kind in Enum.GetValues<DataKind>())
        {
            StoredMatrix stored = StoredMatrix.Create(format, kind, 19, columns, random);
            using AlignedBuffer bytes = Regions.Copy(stored.Bytes);
            using WorkerPool pool = new(2, MatmulJob.ScratchElements(columns));
            foreach (int tokens in new[] { 1, 5, 20 })
            {
                float[] x = StoredMatrix.Activations(kind, tokens * columns, random);
                FormatConformanceTests.CheckAgainstF64(stored, x, format.Open(bytes.Region, 19, columns, tier).Multiply(tier, pool, x, tokens), $"{tokens} tokens, {kind}");
            }
        }
    }

    [Theory]
    [InlineData(float.PositiveInfinity)]
    [InlineData(float.NegativeInfinity)]
    [InlineData(float.NaN)]
    public void Run_HalfThatIsNotFinite_ReachesItsRowOnly(float special)
    {
        foreach (IsaTier tier in IsaTiers.Supported)
        {
            WeightFormat format = WeightFormats.Find("f16")!;
            using WorkerPool pool = new(2, MatmulJob.ScratchElements(40));
            foreach (int tokens in new[] { 1, 5, 20 })
            {
                Half[] weights = [.. Enumerable.Range(0, 9 * 40).Select(i => (Half)((i % 13) - 6))];
                weights[(5 * 40) + 17] = (Half)special;
                using AlignedBuffer bytes = Regions.Copy(MemoryMarshal.AsBytes(weights.AsSpan()).ToArray());
                float[] x = [.. Enumerable.Range(0, tokens * 40).Select(i => 1f + (i % 7))];
                float[] y = format.Open(bytes.Region, 9, 40, tier).Multiply(tier, pool, x, tokens);
                Assert.All(y, (value, i) => Assert.Equal(i % 9 != 5, float.IsFinite(value)));
                Assert.All(Enumerable.Range(0, tokens), token => Assert.Equal(special, y[(token * 9) + 5]));
            }
        }
    }

    [Fact]
    public void Run_ProductsOfOneInputTogether_GivesTheBitsOfEach()
    {
        Random random = new(3);
        const int columns = 96;
        foreach (IsaTier tier in IsaTiers.Supported)
        {
            using WorkerPool pool = new(3, MatmulJob.ScratchElements(columns));
            foreach (string[] formats in new[] { new[] { "f16", "f16", "f16" }, ["f32", "f16", "bf16"], ["q8_0", "q8_0"], ["f16", "q4_1"] })
            {
                StoredMatrix[] stored = [.. formats.Select((format, i) => StoredMatrix.Create(WeightFormats.Find(format)!, DataKind.ZeroMean, 21 + (40 * i), columns, random))];
                AlignedBuffer[] bytes = [.. stored.Select(matrix => Regions.Copy(matrix.Bytes))];
                WeightMatrix[] matrices = [.. stored.Select((matrix, i) => matrix.Format.Open(bytes[i].Region, matrix.Rows, columns, tier))];
                foreach (int tokens in new[] { 1, 4, 20 })
                {
                    float[] x = StoredMatrix.Activations(DataKind.ZeroMean, tokens * columns, random);
                    using AlignedBuffer source = AlignedBuffer.AllocateFloats(x.Length);
                    x.CopyTo(source.Floats(0, x.Length));
                    using MatmulInput input = new(tier, tokens, columns);
                    input.Set(source, tokens, columns);
                    MatmulJob job = new();
                    AlignedBuffer[] outputs = [.. matrices.Select(matrix => AlignedBuffer.AllocateFloats((long)matrix.Rows * tokens))];
                    for (int i = 0; i < matrices.Length; i++)
                    {
                        job.Add(matrices[i], outputs[i]);
                    }

                    job.Run(pool, input);
                    for (int i = 0; i < matrices.Length; i++)
                    {
                        KernelCases.AssertSameBits(matrices[i].Multiply(tier, pool, x, tokens), outputs[i].Floats(0, tokens * matrices[i].Rows), $"{formats[i]}, {tokens} tokens");
                        outputs[i].Dispose();
                    }
                }

                Array.ForEach(bytes, buffer => buffer.Dispose());
            }
        }
    }

    [Fact]
    public void Run_HalvesAndHugeActivations_StayFinite()
    {
        foreach (IsaTier tier in IsaTiers.Supported)
        {
            using WorkerPool pool = new(1, MatmulJob.ScratchElements(48));
            using AlignedBuffer bytes = Regions.Copy(MemoryMarshal.AsBytes(Enumerable.Repeat((Half)0.5f, 48).ToArray().AsSpan()).ToArray());
            float[] y = WeightFormats.Find("f16")!.Open(bytes.Region, 1, 48, tier).Multiply(tier, pool, [.. Enumerable.Repeat(1e30f, 48)], 1);
            Assert.Equal(2.4e31f, y[0], 1e26f);
        }
    }
}
