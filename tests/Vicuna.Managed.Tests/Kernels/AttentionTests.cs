using Vicuna.Managed.Kernels.Ops;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.Kernels;

public sealed class AttentionTests
{
    private const int Page = KvShape.PagePositions;

    public static TheoryData<string> Tiers() => [.. KernelCases.Tiers];

    public static TheoryData<string, string> Cases() => KvStoreTests.Cases();

    [Theory]
    [MemberData(nameof(Cases))]
    public void AddPage_EveryHeadSizeAndRowCount_AgreesWithTheReference(string tierName, string typeName)
    {
        Operations operations = Operations.For(KernelCases.Tier(tierName));
        int seed = 0;
        foreach (int headDim in new[] { 1, 2, 6, 8, 10, 16, 24, 40, 64, 72, 80, 96, 128, 130 })
        {
            foreach (int rows in new[] { 1, 2, 3, 4, 5, 8, 12, 13, 24, 64 })
            {
                seed++;
                Check(operations, Enum.Parse<KvType>(typeName), rows, 1 + (seed % 3), headDim, seed * 37 % 150, int.MaxValue, 1, seed % 2 == 0);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void AddPage_EveryPositionAndWindow_AgreesWithTheReference(string tierName, string typeName)
    {
        Operations operations = Operations.For(KernelCases.Tier(tierName));
        for (int position = 0; position < 2 * Page + 3; position++)
        {
            foreach (int window in new[] { int.MaxValue, 1, 2, 5, 63, 64, 65, 100 })
            {
                Check(operations, Enum.Parse<KvType>(typeName), 1 + (position % 14), 1 + (position % 3), 20, position, window, 1, position % 2 == 0);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Tiers))]
    public void AddPage_HugeScores_DoNotOverflow(string tierName)
    {
        Operations operations = Operations.For(KernelCases.Tier(tierName));
        foreach (double size in new[] { 0, 1e-20, 30, 1e3, 1e6 })
        {
            Check(operations, KvType.F32, 3, 3, 16, 149, int.MaxValue, size, true);
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void AddPage_RowAmongOthers_GivesTheBitsOfTheRowAlone(string tierName, string typeName)
    {
        Operations operations = Operations.For(KernelCases.Tier(tierName));
        using AttentionMemory memory = new(Enum.Parse<KvType>(typeName), true);
        foreach (int headDim in new[] { 2, 6, 16, 40, 64, 80, 128 })
        {
            foreach ((int rows, int group, int window) in new[] { (4, 4, int.MaxValue), (7, 1, int.MaxValue), (13, 1, 30), (33, 8, int.MaxValue), (64, 3, 70), (6, 2, 3) })
            {
                const int position = 100;
                float[] queries = Floats.Random(rows * headDim, 2, 1);
                int length = position + ((rows - 1) / group) + 1;
                float[] keys = Floats.Random(length * headDim, 2, 2);
                float[] values = Floats.Random(length * headDim, 2, 3);
                float[] together = memory.Attend(operations, queries, headDim, keys, values, row => position + (row / group), window, 0.3f);
                for (int row = 0; row < rows; row++)
                {
                    int own = position + (row / group);
                    float[] alone = memory.Attend(
                        operations, queries.AsSpan(row * headDim, headDim), headDim, keys.AsSpan(0, (own + 1) * headDim), values.AsSpan(0, (own + 1) * headDim), _ => own, window, 0.3f);
                    KernelCases.AssertSameBits(alone, together.AsSpan(row * headDim, headDim), $"row {row} of {rows}, size {headDim}, window {window}");
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Tiers))]
    public void AddPage_OneNaN_ReachesWhatDependsOnIt(string tierName)
    {
        const int headDim = 19, rows = 6, positions = 70;
        Operations operations = Operations.For(KernelCases.Tier(tierName));
        foreach (KvType type in new[] { KvType.F32, KvType.F16 })
        {
            using AttentionMemory memory = new(type, true);
            float[] queries = Floats.Random(rows * headDim, 1, 1);
            float[] keys = Floats.Random(positions * headDim, 1, 2);
            float[] values = Floats.Random(positions * headDim, 1, 3);
            bool[] WithNaN(float[] operand, int at)
            {
                float before = operand[at];
                operand[at] = float.NaN;
                // Two heads and three tokens, of which the last sees everything.
                bool[] result = [.. memory.Attend(operations, queries, headDim, keys, values, row => positions - 3 + (row / 2), int.MaxValue, 0.2f).Select(float.IsNaN)];
                operand[at] = before;
                return result;
            }

            for (int at = 0; at < positions * headDim; at += 5)
            {
                int position = at / headDim;
                Assert.All(WithNaN(keys, at), (isNaN, i) => Assert.Equal(Sees(i / headDim, position), isNaN));
                Assert.All(WithNaN(values, at), (isNaN, i) => Assert.Equal(i % headDim == at % headDim && Sees(i / headDim, position), isNaN));
            }

            for (int at = 0; at < queries.Length; at++)
            {
                Assert.All(WithNaN(queries, at), (isNaN, i) => Assert.Equal(i / headDim == at / headDim, isNaN));
            }
        }

        static bool Sees(int row, int position) => positions - 3 + (row / 2) >= position;
    }

    [Theory]
    [MemberData(nameof(Tiers))]
    public void AddPage_HalvesReadInEitherWay_GiveTheSameBits(string tierName)
    {
        Operations operations = Operations.For(KernelCases.Tier(tierName));
        using AttentionMemory memory = new(KvType.F16, true);
        // Subnormal halves, ordinary and the largest; queries up to and beyond what can take over the factor.
        foreach ((double size, double querySize) in new[] { (1e-7, 1.0), (1e-5, 1), (1, 1), (1, 32000), (6e4, 1e-3), (1, 1e5), (1, 1e30) })
        {
            foreach (int headDim in new[] { 6, 16, 80, 128 })
            {
                float[] queries = Floats.Random(5 * headDim, querySize, 1);
                float[] keys = Floats.Random(100 * headDim, size, 2);
                float[] values = Floats.Random(100 * headDim, size, 3);
                memory.SayNaN = false;
                float[] expected = memory.Attend(operations, queries, headDim, keys, values, row => 97 + (row / 2), int.MaxValue, 0.1f);
                memory.SayNaN = true;
                KernelCases.AssertSameBits(
                    expected, memory.Attend(operations, queries, headDim, keys, values, row => 97 + (row / 2), int.MaxValue, 0.1f), $"size {size}, queries {querySize}");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Tiers))]
    public void AddPage_AWholePageOfMinusInfinity_CountsForNothing(string tierName)
    {
        const int headDim = 8;
        Operations operations = Operations.For(KernelCases.Tier(tierName));
        using AttentionMemory memory = new(KvType.F32, true);
        float[] queries = [.. Enumerable.Repeat(1f, headDim)];
        float[] keys = Floats.Random((Page + 9) * headDim, 1, 2);
        float[] values = Floats.Random((Page + 9) * headDim, 1, 3);
        keys.AsSpan(0, Page * headDim).Fill(float.NegativeInfinity);
        float[] found = memory.Attend(operations, queries, headDim, keys, values, _ => Page + 8, int.MaxValue, 1);
        double[] expected = new double[headDim];
        Attention.Reference(queries, keys.AsSpan(Page * headDim), values.AsSpan(Page * headDim), 1, expected);
        Floats.AssertClose(expected, found, 0, 1e-6, "the second page alone");
    }

    [Theory]
    [MemberData(nameof(Tiers))]
    public void AddPage_WrongLengths_Throws(string tierName)
    {
        Operations operations = Operations.For(KernelCases.Tier(tierName));
        void Attend(int rows, int headDim, int keys, int values, int scratch)
        {
            AttentionRows all = new(new float[scratch], rows, headDim);
            all.Positions.Clear();
            operations.AttendPage(KvType.F16, all, new byte[keys], new byte[values], 0, int.MaxValue, 1, mayHoldNaN: true);
        }

        int room = AttentionRows.ScratchElements(5);
        int bytes = Page * 5 * 2;
        Attend(64, 5, bytes, bytes, room);
        Assert.Throws<ArgumentException>(() => Attend(65, 5, bytes, bytes, room));
        Assert.Throws<ArgumentException>(() => Attend(0, 5, bytes, bytes, room));
        Assert.Throws<ArgumentException>(() => Attend(1, 0, bytes, bytes, room));
        Assert.Throws<ArgumentException>(() => Attend(1, 5, bytes, bytes, room - 1));
        Assert.Throws<ArgumentException>(() => Attend(1, 5, bytes - 1, bytes, room));
        Assert.Throws<ArgumentException>(() => Attend(1, 5, bytes, bytes + 1, room));
        Assert.Throws<ArgumentException>(() => operations.FinishAttention(new AttentionRows(new float[room], 2, 5), 0, new float[4]));
    }

    // Rows of groups: row r belongs to the token at first + r / group.
    private static void Check(Operations operations, KvType type, int rows, int group, int headDim, int first, int window, double size, bool atEnd)
    {
        using AttentionMemory memory = new(type, atEnd);
        float scale = (float)(1 / Math.Sqrt(headDim));
        int length = first + ((rows - 1) / group) + 1;
        float[] queries = Floats.Random(rows * headDim, 2 * size, headDim);
        float[] keys = Floats.Random(length * headDim, 2, rows);
        float[] values = Floats.Random(length * headDim, 2, rows + 1);
        float[] actual = memory.Attend(operations, queries, headDim, keys, values, row => first + (row / group), window, scale);
        // A score is off by some 1e-7 of the sizes in it, and so is, relatively, its exponential. What storing loses is not at issue here: the
        // reference gets the numbers that were stored.
        double scores = 4 * size * headDim * scale;
        double tolerance = (1e-6 + (1e-7 * scores)) * 2;
        double[] expected = new double[headDim];
        for (int row = 0; row < rows; row++)
        {
            int position = first + (row / group);
            int from = (int)Math.Max(0, (long)position - window + 1) * headDim;
            int count = ((position + 1) * headDim) - from;
            Attention.Reference(queries.AsSpan(row * headDim, headDim), memory.StoredKeys.AsSpan(from, count), memory.StoredValues.AsSpan(from, count), scale, expected);
            Floats.AssertClose(expected, actual.AsSpan(row * headDim, headDim), 0, tolerance, $"{type}, row {row} of {rows} in groups of {group}, size {headDim}, position {position}, window {window}");
        }
    }

    /// <summary>The operands of attention over several pages, each between guard pages. Positions that are not in use hold NaN.</summary>
    private sealed class AttentionMemory(KvType type, bool atEnd) : IDisposable
    {
        private const int LargestHead = 130;

        private readonly GuardedBuffer _keys = GuardedBuffer.Allocate(new KvShape(1, 1, LargestHead, KvType.F32).RunBytes);
        private readonly GuardedBuffer _values = GuardedBuffer.Allocate(new KvShape(1, 1, LargestHead, KvType.F32).RunBytes);
        private readonly GuardedBuffer _scratch = GuardedBuffer.Allocate(AttentionRows.ScratchElements(LargestHead) * sizeof(float));

        /// <summary>Has halves read as if one of them might be NaN, which must not change a bit.</summary>
        public bool SayNaN { get; set; }

        public float[] StoredKeys { get; private set; } = [];

        public float[] StoredValues { get; private set; } = [];

        public float[] Attend(
            Operations operations, ReadOnlySpan<float> queries, int headDim, ReadOnlySpan<float> keys, ReadOnlySpan<float> values, Func<int, int> positionOf, int window, float scale)
        {
            int count = queries.Length / headDim;
            AttentionRows rows = new(_scratch.Slice<float>(AttentionRows.ScratchElements(headDim), atEnd), count, headDim);
            for (int row = 0; row < count; row++)
            {
                rows.Set(row, positionOf(row), queries.Slice(row * headDim, headDim));
            }

            int bytes = new KvShape(1, 1, headDim, type).RunBytes;
            List<float> storedKeys = [];
            List<float> storedValues = [];
            for (int start = 0; start < keys.Length / headDim; start += Page)
            {
                Span<byte> keyRun = _keys.Slice<byte>(bytes, atEnd);
                Span<byte> valueRun = _values.Slice<byte>(bytes, atEnd);
                bool isNaN = false;
                for (int slot = 0; slot < Math.Min(Page, (keys.Length / headDim) - start); slot++)
                {
                    isNaN |= operations.Store(type, keys.Slice((start + slot) * headDim, headDim), keyRun, slot, transposed: true);
                    isNaN |= operations.Store(type, values.Slice((start + slot) * headDim, headDim), valueRun, slot, transposed: false);
                    storedKeys.AddRange(KvPageReader.Read(type, keyRun, headDim, slot, transposed: true));
                    storedValues.AddRange(KvPageReader.Read(type, valueRun, headDim, slot, transposed: false));
                }

                operations.AttendPage(type, rows, keyRun, valueRun, start, window, scale, isNaN || SayNaN);
            }

            StoredKeys = [.. storedKeys];
            StoredValues = [.. storedValues];
            float[] output = new float[queries.Length];
            for (int row = 0; row < count; row++)
            {
                operations.FinishAttention(rows, row, output.AsSpan(row * headDim, headDim));
            }

            return output;
        }

        public void Dispose()
        {
            _keys.Dispose();
            _values.Dispose();
            _scratch.Dispose();
        }
    }
}
