using Vicuna.Managed.Kernels.Ops;

namespace Vicuna.Managed.Tests.Kernels;

public sealed class AttentionTests
{
    private const int Page = KvShape.PagePositions;

    public static TheoryData<string> Tiers() => [.. KernelCases.Tiers];

    [Theory]
    [MemberData(nameof(Tiers))]
    public void AddPage_EveryHeadSizeAndGroup_AgreesWithTheReference(string tierName)
    {
        Operations operations = Operations.For(KernelCases.Tier(tierName));
        using Memory memory = new();
        int fill = 0;
        for (int headDim = 2; headDim <= 130; headDim++)
        {
            for (int group = 1; group <= 4; group++)
            {
                fill = (fill % Page) + 1;
                Check(operations, memory, group, headDim, ((headDim + group) % 3 * Page) + fill, 1);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Tiers))]
    public void AddPage_EveryFill_AgreesWithTheReference(string tierName)
    {
        Operations operations = Operations.For(KernelCases.Tier(tierName));
        using Memory memory = new();
        for (int positions = 1; positions <= 3 * Page; positions++)
        {
            Check(operations, memory, 1 + (positions % 4), positions % 2 == 0 ? 64 : 37, positions, 1);
        }
    }

    [Theory]
    [MemberData(nameof(Tiers))]
    public void AddPage_HugeScores_DoNotOverflow(string tierName)
    {
        Operations operations = Operations.For(KernelCases.Tier(tierName));
        using Memory memory = new();
        foreach (double size in new[] { 0, 1e-20, 30, 1e3, 1e6 })
        {
            Check(operations, memory, 3, 16, 150, size);
        }
    }

    [Theory]
    [MemberData(nameof(Tiers))]
    public void AddPage_HeadOfAGroup_GivesTheBitsOfTheHeadAlone(string tierName)
    {
        Operations operations = Operations.For(KernelCases.Tier(tierName));
        using Memory memory = new();
        foreach (int headDim in new[] { 2, 7, 16, 40, 64, 128 })
        {
            for (int positions = 1; positions < 130; positions += 9)
            {
                float[] queries = Floats.Random(4 * headDim, 2, 1);
                float[] keys = Floats.Random(positions * headDim, 2, 2);
                float[] values = Floats.Random(positions * headDim, 2, 3);
                float[] together = memory.Attend(operations, queries, keys, values, 4, 0.3f).ToArray();
                for (int head = 0; head < 4; head++)
                {
                    ReadOnlySpan<float> alone = memory.Attend(operations, queries.AsSpan(head * headDim, headDim), keys, values, 1, 0.3f);
                    KernelCases.AssertSameBits(together.AsSpan(head * headDim, headDim), alone, $"head {head}, size {headDim}, {positions} positions");
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Tiers))]
    public void AddPage_OneNaN_ReachesWhatDependsOnIt(string tierName)
    {
        const int headDim = 19, group = 3, positions = 70;
        Operations operations = Operations.For(KernelCases.Tier(tierName));
        using Memory memory = new();
        float[] queries = Floats.Random(group * headDim, 1, 1);
        float[] keys = Floats.Random(positions * headDim, 1, 2);
        float[] values = Floats.Random(positions * headDim, 1, 3);
        bool[] WithNaN(float[] operand, int at)
        {
            float before = operand[at];
            operand[at] = float.NaN;
            bool[] result = [.. memory.Attend(operations, queries, keys, values, group, 0.2f).ToArray().Select(float.IsNaN)];
            operand[at] = before;
            return result;
        }

        for (int at = 0; at < positions * headDim; at += 5)
        {
            Assert.DoesNotContain(false, WithNaN(keys, at));
            Assert.All(WithNaN(values, at), (isNaN, i) => Assert.Equal(i % headDim == at % headDim, isNaN));
        }

        for (int at = 0; at < queries.Length; at++)
        {
            Assert.All(WithNaN(queries, at), (isNaN, i) => Assert.Equal(i / headDim == at / headDim, isNaN));
        }
    }

    [Theory]
    [MemberData(nameof(Tiers))]
    public void AddPage_WrongLengths_Throws(string tierName)
    {
        Operations operations = Operations.For(KernelCases.Tier(tierName));
        void Attend(int queries, int keys, int values, int group, int sums, int output, int scores) => operations.AttendPage(
            new float[queries], new float[keys], new float[values], 1, new float[group], new float[sums], new float[output], new float[scores]);

        int room = Attention.ScoreElements(2);
        Attend(10, 25, 25, 2, 2, 10, room);
        Assert.ThrowsAny<ArgumentException>(() => Attend(11, 25, 25, 2, 2, 11, room));
        Assert.ThrowsAny<ArgumentException>(() => Attend(10, 24, 24, 2, 2, 10, room));
        Assert.ThrowsAny<ArgumentException>(() => Attend(10, 25, 24, 2, 2, 10, room));
        Assert.ThrowsAny<ArgumentException>(() => Attend(10, 24, 25, 2, 2, 10, room));
        Assert.ThrowsAny<ArgumentException>(() => Attend(10, 0, 0, 2, 2, 10, room));
        Assert.ThrowsAny<ArgumentException>(() => Attend(10, 65 * 5, 65 * 5, 2, 2, 10, room));
        Assert.ThrowsAny<ArgumentException>(() => Attend(10, 25, 25, 2, 1, 10, room));
        Assert.ThrowsAny<ArgumentException>(() => Attend(10, 25, 25, 2, 3, 10, room));
        Assert.ThrowsAny<ArgumentException>(() => Attend(10, 25, 25, 2, 2, 9, room));
        Assert.ThrowsAny<ArgumentException>(() => Attend(10, 25, 25, 2, 2, 11, room));
        Assert.ThrowsAny<ArgumentException>(() => Attend(10, 25, 25, 2, 2, 10, Page));
        Assert.ThrowsAny<ArgumentException>(() => Attend(10, 25, 25, 0, 0, 10, room));
        Assert.ThrowsAny<ArgumentException>(() => Attend(0, 25, 25, 2, 2, 0, room));
        Assert.ThrowsAny<ArgumentException>(() => operations.FinishAttention(new float[2], new float[9]));
        Assert.ThrowsAny<ArgumentException>(() => operations.FinishAttention([], new float[9]));
    }

    private static void Check(Operations operations, Memory memory, int group, int headDim, int positions, double size)
    {
        float scale = (float)(1 / Math.Sqrt(headDim));
        float[] queries = Floats.Random(group * headDim, 2 * size, headDim);
        float[] keys = Floats.Random(positions * headDim, 2, positions);
        float[] values = Floats.Random(positions * headDim, 2, positions + 1);
        double[] expected = new double[group * headDim];
        for (int head = 0; head < group; head++)
        {
            Attention.Reference(queries.AsSpan(head * headDim, headDim), keys, values, scale, expected.AsSpan(head * headDim, headDim));
        }

        // A score is off by some 1e-7 of the sizes in it, and so is, relatively, its exponential.
        double scores = 4 * size * headDim * scale;
        double tolerance = (1e-6 + (1e-7 * scores)) * 2;
        foreach (bool atEnd in new[] { true, false })
        {
            memory.AtEnd = atEnd;
            ReadOnlySpan<float> actual = memory.Attend(operations, queries, keys, values, group, scale);
            Floats.AssertClose(expected, actual, 0, tolerance, $"{group} heads of {headDim}, {positions} positions, size {size}");
        }
    }

    /// <summary>The operands of attention over several pages, each between guard pages.</summary>
    private sealed class Memory : IDisposable
    {
        private readonly GuardedFloats _operands = new(7, Page * 130);

        public bool AtEnd { set => _operands.AtEnd = value; }

        public ReadOnlySpan<float> Attend(Operations operations, ReadOnlySpan<float> queries, float[] keys, float[] values, int group, float scale)
        {
            int headDim = queries.Length / group;
            Span<float> maxima = _operands.Blank(3, group);
            Span<float> sums = _operands.Blank(4, group);
            Span<float> output = _operands.Blank(5, queries.Length);
            maxima.Fill(float.NegativeInfinity);
            sums.Clear();
            output.Clear();
            Span<float> scores = _operands.Blank(6, Attention.ScoreElements(group));
            ReadOnlySpan<float> guardedQueries = _operands.Copy(0, queries);
            for (int start = 0; start < keys.Length; start += Page * headDim)
            {
                int count = Math.Min(Page * headDim, keys.Length - start);
                ReadOnlySpan<float> pageKeys = _operands.Copy(1, keys.AsSpan(start, count));
                ReadOnlySpan<float> pageValues = _operands.Copy(2, values.AsSpan(start, count));
                operations.AttendPage(guardedQueries, pageKeys, pageValues, scale, maxima, sums, output, scores);
            }

            operations.FinishAttention(sums, output);
            return output;
        }

        public void Dispose() => _operands.Dispose();
    }
}
