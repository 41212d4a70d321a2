using System.Runtime.InteropServices;
using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Kernels.Ops;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.Kernels;

/// <summary>What is stored of keys and values.</summary>
public sealed class KvStoreTests
{
    public static TheoryData<string, string> Cases()
    {
        TheoryData<string, string> data = [];
        foreach (string tier in KernelCases.Tiers)
        {
            foreach (KvType type in Enum.GetValues<KvType>())
            {
                data.Add(tier, type.ToString());
            }
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Store_OfAnyRow_KeepsItWithinTheTypesErrorAndTouchesNothingElse(string tierName, string typeName)
    {
        KvType type = Enum.Parse<KvType>(typeName);
        foreach (int headDim in new[] { 1, 2, 6, 7, 10, 16, 63, 64, 65, 80, 128, 130 })
        {
            foreach (double size in new[] { 1e-40, 1e-30, 1e-6, 0.3, 40, 3e4 })
            {
                float[] source = Floats.Random(headDim, 2 * size, headDim);
                float[] stored = StoreAndRead(tierName, type, source, (headDim * 7) % 64, atEnd: headDim % 2 == 0);
                float largest = source.Max(MathF.Abs);
                for (int i = 0; i < headDim; i++)
                {
                    // Half an ulp of eleven bits, or of the subnormal halves; half a step of largest / 127, and the rounding of that product.
                    // Below 127 / float.MaxValue a row is stored as zeros.
                    double tolerance = type switch
                    {
                        KvType.F32 => 0,
                        KvType.F16 => Math.Max(Math.Abs(source[i]) / 2048.0, 1.0 / (1 << 25)),
                        _ => Math.Max((largest / 254.0) * (1 + 1e-4), 4e-37),
                    };
                    Assert.InRange(stored[i], source[i] - tolerance, source[i] + tolerance);
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Store_AtEveryTier_WritesTheSameBytes(string tierName, string typeName)
    {
        KvType type = Enum.Parse<KvType>(typeName);
        foreach (int headDim in new[] { 6, 64, 80, 131 })
        {
            float[] source = Floats.Random(headDim, 5, headDim);
            (source[0], source[1], source[2]) = (-0f, 0.5f, 1.5f);
            KernelCases.AssertSameBits(StoreAndRead(IsaTiers.NameOf(IsaTier.Scalar), type, source, 3, true), StoreAndRead(tierName, type, source, 3, true), $"size {headDim}");
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Store_OfNumbersBeyondTheType_LimitsHalvesAndKeepsNaN(string tierName, string typeName)
    {
        KvType type = Enum.Parse<KvType>(typeName);
        for (int at = 0; at < 70; at++)
        {
            foreach (float special in new[] { float.NaN, float.PositiveInfinity, float.NegativeInfinity, 65505f, -65520f, 1e30f })
            {
                float[] source = new float[70];
                source[at] = special;
                float[] stored = StoreAndRead(tierName, type, source, 5, atEnd: true);
                switch (type)
                {
                    case KvType.F32:
                        Assert.Equal(special, stored[at]);
                        break;
                    case KvType.F16:
                        Assert.Equal(float.IsNaN(special) ? float.NaN : special > 0 ? 65504f : -65504f, stored[at]);
                        Assert.All(stored, (value, i) => Assert.True(i == at || value == 0));
                        break;
                    default:
                        // A row that is not finite is not a row any more.
                        Assert.All(stored, value => Assert.Equal(float.IsFinite(special), float.IsFinite(value)));
                        break;
                }
            }
        }
    }

    [Fact]
    public void Widen_OfEveryHalf_IsExactInAllTiers()
    {
        ushort[] halves = [.. Enumerable.Range(0, 65536).Select(i => (ushort)i)];
        foreach (Action<ReadOnlySpan<byte>, Span<float>> widen in new Action<ReadOnlySpan<byte>, Span<float>>[]
        {
            AttentionKernels.Widen<KvElementF16, Scalar>,
            (source, destination) => { if (IsaTiers.Supported.Contains(IsaTier.Avx2)) { AttentionKernels.Widen<KvElementF16, Avx2>(source, destination); } },
            (source, destination) => { if (IsaTiers.Supported.Contains(IsaTier.Avx512)) { AttentionKernels.Widen<KvElementF16, Avx512>(source, destination); } },
        })
        {
            float[] wide = [.. halves.Select(bits => (float)BitConverter.UInt16BitsToHalf(bits))];
            float[] found = [.. wide];
            widen(MemoryMarshal.AsBytes<ushort>(halves), found);
            KernelCases.AssertSameBits(wide, found, "halves");
        }
    }

    [Fact]
    public void Store_WrongLengths_Throws()
    {
        Operations operations = Operations.For(IsaTier.Scalar);
        Assert.Throws<ArgumentException>(() => operations.Store(KvType.F16, new float[8], new byte[8 * 64 * 2 + 1], 0, true));
        Assert.Throws<ArgumentException>(() => operations.Store(KvType.Q8, new float[8], new byte[8 * 64], 0, true));
        Assert.Throws<ArgumentException>(() => operations.Store(KvType.F32, new float[8], new byte[8 * 64 * 4], 64, false));
        Assert.Throws<ArgumentException>(() => operations.Store(KvType.F32, new float[8], new byte[8 * 64 * 4], -1, false));
    }

    // Stores as key and as value, checks that nothing else was written, and returns what can be read.
    private static float[] StoreAndRead(string tierName, KvType type, float[] source, int slot, bool atEnd)
    {
        Operations operations = Operations.For(KernelCases.Tier(tierName));
        int bytes = new KvShape(1, 1, source.Length, type).RunBytes;
        using GuardedBuffer memory = GuardedBuffer.Allocate(bytes);
        float[] result = [];
        foreach (bool transposed in new[] { true, false })
        {
            Span<byte> run = memory.Slice<byte>(bytes, atEnd);
            operations.Store(type, source, run, slot, transposed);
            Assert.True(run.Count((byte)0xff) >= bytes - (2 * new KvShape(1, 1, source.Length, type).PositionBytes));
            for (int other = 0; other < KvShape.PagePositions; other++)
            {
                Assert.True(other == slot || KvPageReader.Read(type, run, source.Length, other, transposed).All(value => type == KvType.Q8 || float.IsNaN(value)));
            }

            float[] stored = KvPageReader.Read(type, run, source.Length, slot, transposed);
            KernelCases.AssertSameBits(transposed ? stored : result, stored, "keys and values");
            result = stored;
        }

        return result;
    }
}
