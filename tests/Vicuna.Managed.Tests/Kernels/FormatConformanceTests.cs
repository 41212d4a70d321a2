using Vicuna.Managed.Kernels.Formats;
using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Kernels.Matmul;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.Kernels;

/// <summary>What every weight format promises, in every instruction set: the registry is the list.</summary>
public sealed class FormatConformanceTests
{
    // More than two groups of rows, and not a multiple of a tile of four.
    private const int MaxRows = 19;
    private const int MaxTokens = 9;

    public static TheoryData<string, string> Cases() => KernelCases.FormatsAndTiers();

    [Theory]
    [MemberData(nameof(Cases))]
    public void Multiply_EveryColumnCountAndKindOfData_AgreesWithF64(string formatName, string tierName)
    {
        (WeightFormat format, IsaTier tier) = Find(formatName, tierName);
        Random random = new(1);
        foreach (int columns in StoredMatrix.ColumnCounts(format))
        {
            foreach (DataKind kind in Enum.GetValues<DataKind>())
            {
                StoredMatrix matrix = StoredMatrix.Create(format, kind, MaxRows, columns, random);
                float[] x = StoredMatrix.Activations(kind, MaxTokens * columns, random);
                CheckAgainstF64(matrix, x, Product(matrix, tier, x, MaxTokens), $"{columns} columns, {kind}");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Multiply_AnyRowsAndTokensBetweenGuardPages_GivesTheBitsOfTheWhole(string formatName, string tierName)
    {
        (WeightFormat format, IsaTier tier) = Find(formatName, tierName);
        Random random = new(2);
        int[] counts = [.. StoredMatrix.ColumnCounts(format)];
        using Guards guards = new(MaxRows * counts[^1]);
        bool atEnd = false;
        foreach (int columns in counts)
        {
            StoredMatrix matrix = StoredMatrix.Create(format, DataKind.LargeRange, MaxRows, columns, random);
            float[] x = StoredMatrix.Activations(DataKind.LargeRange, MaxTokens * columns, random);
            float[] whole = Product(matrix, tier, x, MaxTokens);
            for (int rows = 1; rows <= 9; rows++)
            {
                for (int tokens = 1; tokens <= MaxTokens; tokens++)
                {
                    int row = random.Next(MaxRows - rows + 1);
                    int token = random.Next(MaxTokens - tokens + 1);
                    atEnd = !atEnd;
                    ReadOnlySpan<byte> someRows = matrix.Bytes.AsSpan(row * matrix.RowBytes, rows * matrix.RowBytes);
                    ReadOnlySpan<float> someTokens = x.AsSpan(token * columns, tokens * columns);
                    ReadOnlySpan<float> part = guards.Product(format, tier, someRows, rows, columns, someTokens, tokens, atEnd);
                    for (int t = 0; t < tokens; t++)
                    {
                        ReadOnlySpan<float> expected = whole.AsSpan(((token + t) * MaxRows) + row, rows);
                        string what = $"{columns} columns, rows {row}+{rows}, tokens {token}+{tokens}, token {t}";
                        KernelCases.AssertSameBits(expected, part.Slice(t * rows, rows), what);
                    }
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void MultiplyRows_AnyPartition_GivesTheBitsOfTheWhole(string formatName, string tierName)
    {
        (WeightFormat format, IsaTier tier) = Find(formatName, tierName);
        Random random = new(3);
        int columns = format.BlockElements == 1 ? 83 : 3 * format.BlockElements;
        StoredMatrix stored = StoredMatrix.Create(format, DataKind.ZeroMean, MaxRows, columns, random);
        using AlignedBuffer bytes = Regions.Copy(stored.Bytes);
        WeightMatrix matrix = format.Open(bytes.Region, MaxRows, columns, tier);
        float[] scratch = new float[MatmulJob.ScratchElements(columns)];
        foreach (int tokens in new[] { 1, 2, 5, 9 })
        {
            float[] x = StoredMatrix.Activations(DataKind.ZeroMean, tokens * columns, random);
            float[] whole = Product(stored, tier, x, tokens);
            for (int round = 0; round < 200; round++)
            {
                float[] y = NaNs(tokens * MaxRows);
                for (int start = 0; start < MaxRows;)
                {
                    int end = Math.Min(MaxRows, start + 1 + random.Next(1 + (round % MaxRows)));
                    matrix.MultiplyRows(start, end, x, tokens, y, scratch);
                    start = end;
                }

                KernelCases.AssertSameBits(whole, y, $"{tokens} tokens, round {round}");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Multiply_WeightsAtAnyByteOffset_GivesTheSameBits(string formatName, string tierName)
    {
        (WeightFormat format, IsaTier tier) = Find(formatName, tierName);
        Random random = new(4);
        int columns = format.BlockElements == 1 ? 77 : 2 * format.BlockElements;
        StoredMatrix stored = StoredMatrix.Create(format, DataKind.ZeroMean, 9, columns, random);
        float[] x = StoredMatrix.Activations(DataKind.ZeroMean, 5 * columns, random);
        float[] scratch = new float[MatmulJob.ScratchElements(columns)];
        using AlignedBuffer memory = AlignedBuffer.Allocate(stored.Bytes.Length + 64);
        foreach (int tokens in new[] { 1, 5 })
        {
            float[] someTokens = x[..(tokens * columns)];
            float[] expected = Product(stored, tier, someTokens, tokens);
            for (int offset = 0; offset < 64; offset++)
            {
                stored.Bytes.CopyTo(memory.Writable(offset, stored.Bytes.Length));
                float[] y = NaNs(tokens * 9);
                format.Open(memory.Region.Slice(offset, stored.Bytes.Length), 9, columns, tier).MultiplyRows(0, 9, someTokens, tokens, y, scratch);
                KernelCases.AssertSameBits(expected, y, $"offset {offset}, {tokens} tokens");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Multiply_OneNaNOrInfinityInX_ReachesItsTokenOnly(string formatName, string tierName)
    {
        (WeightFormat format, IsaTier tier) = Find(formatName, tierName);
        Random random = new(5);
        int columns = format.BlockElements == 1 ? 37 : format.BlockElements;
        StoredMatrix stored = StoredMatrix.Create(format, DataKind.ZeroMean, 6, columns, random);
        float[] x = StoredMatrix.Activations(DataKind.ZeroMean, 5 * columns, random);
        for (int at = 0; at < x.Length; at++)
        {
            foreach (float special in new[] { float.NaN, float.PositiveInfinity })
            {
                float[] broken = [.. x];
                broken[at] = special;
                float[] y = Product(stored, tier, broken, 5);
                Assert.All(y, (value, i) => Assert.Equal(i / 6 != at / columns, float.IsFinite(value)));
            }
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Open_WrongShapeOrLength_Throws(string formatName, string tierName)
    {
        (WeightFormat format, IsaTier tier) = Find(formatName, tierName);
        int columns = 2 * format.BlockElements;
        using AlignedBuffer bytes = AlignedBuffer.Allocate(3 * 2 * format.BlockBytes);
        Assert.NotNull(format.Open(bytes.Region, 3, columns, tier));
        Assert.ThrowsAny<ArgumentException>(() => format.Open(bytes.Region, 2, columns, tier));
        Assert.ThrowsAny<ArgumentException>(() => format.Open(bytes.Region, 4, columns, tier));
        Assert.ThrowsAny<ArgumentException>(() => format.Open(bytes.Region, -3, columns, tier));
        Assert.ThrowsAny<ArgumentException>(() => format.Open(bytes.Region, -3, -columns, tier));
        Assert.ThrowsAny<ArgumentException>(() => format.Open(bytes.Region, 3, columns + 1, tier));
        Assert.ThrowsAny<ArgumentException>(() => format.Open(bytes.Region, 3, columns - 1, tier));
        Assert.ThrowsAny<ArgumentException>(() => format.Open(bytes.Region, int.MaxValue, columns, tier));
        Assert.ThrowsAny<ArgumentException>(() => format.Open(bytes.Region, 3, int.MaxValue / 256 * 256, tier));
        Assert.ThrowsAny<ArgumentException>(() => format.Open(bytes.Region.Slice(0, bytes.Length - 1), 3, columns, tier));
        Assert.ThrowsAny<ArgumentException>(() => format.Open(bytes.Region, 3, columns, (IsaTier)99));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void MultiplyRows_WrongLengths_Throws(string formatName, string tierName)
    {
        (WeightFormat format, IsaTier tier) = Find(formatName, tierName);
        int columns = 2 * format.BlockElements;
        using AlignedBuffer bytes = AlignedBuffer.Allocate(10 * 2 * format.BlockBytes);
        WeightMatrix matrix = format.Open(bytes.Region, 10, columns, tier);
        float[] scratch = new float[MatmulJob.ScratchElements(columns)];
        void Multiply(int start, int end, int xLength, int tokens, int yLength) =>
            matrix.MultiplyRows(start, end, new float[xLength], tokens, new float[yLength], scratch);

        foreach (int tokens in new[] { 1, 2, 7 })
        {
            Multiply(0, 10, tokens * columns, tokens, tokens * 10);
            Assert.ThrowsAny<ArgumentException>(() => Multiply(0, 10, (tokens * columns) - 1, tokens, tokens * 10));
            Assert.ThrowsAny<ArgumentException>(() => Multiply(0, 10, tokens * columns, tokens, (tokens * 10) - 1));
            Assert.ThrowsAny<ArgumentException>(() => Multiply(9, 10, tokens * columns, tokens, (tokens * 10) - 1));
            Assert.ThrowsAny<ArgumentException>(() => Multiply(0, 11, tokens * columns, tokens, tokens * 11));
            Assert.ThrowsAny<ArgumentException>(() => Multiply(10, 11, tokens * columns, tokens, tokens * 11));
            Assert.ThrowsAny<ArgumentException>(() => Multiply(-1, 10, tokens * columns, tokens, tokens * 10));
        }

        Assert.ThrowsAny<ArgumentException>(() => Multiply(0, 10, columns, -1, 10));
        if (format.BlockElements > 1)
        {
            Assert.ThrowsAny<ArgumentException>(() => matrix.MultiplyRows(0, 10, new float[columns], 1, new float[10], new float[RowMajor.ScratchElements(columns) - 1]));
        }

        foreach (int row in new[] { -1, 10, int.MinValue, int.MaxValue })
        {
            Assert.ThrowsAny<ArgumentException>(() => matrix.DequantizeRow(row, new float[columns]));
        }

        Assert.ThrowsAny<ArgumentException>(() => matrix.DequantizeRow(0, new float[columns - 1]));
        Assert.ThrowsAny<ArgumentException>(() => matrix.DequantizeRow(0, new float[columns + 1]));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Multiply_NoTokensOrNoRows_DoesNothing(string formatName, string tierName)
    {
        (WeightFormat format, IsaTier tier) = Find(formatName, tierName);
        int columns = format.BlockElements;
        using AlignedBuffer bytes = AlignedBuffer.Allocate(20 * format.BlockBytes);
        float[] scratch = new float[MatmulJob.ScratchElements(columns)];
        format.Open(bytes.Region, 20, columns, tier).MultiplyRows(0, 20, [], 0, [], scratch);
        format.Open(bytes.Region, 20, columns, tier).MultiplyRows(5, 20, [], 0, [], scratch);
        format.Open(bytes.Region.Slice(0, 0), 0, columns, tier).MultiplyRows(0, 0, new float[columns], 1, [], scratch);
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void DequantizeRow_AnyRow_EqualsTheFormatsOwn(string formatName, string tierName)
    {
        (WeightFormat format, IsaTier tier) = Find(formatName, tierName);
        Random random = new(6);
        int columns = 3 * format.BlockElements;
        StoredMatrix stored = StoredMatrix.Create(format, DataKind.LargeRange, 7, columns, random);
        using Guards guards = new(7 * columns);
        for (int row = 0; row < 7; row++)
        {
            foreach (bool atEnd in new[] { true, false })
            {
                KernelCases.AssertSameBits(stored.Values.AsSpan(row * columns, columns), guards.Row(stored, tier, row, atEnd), $"row {row}");
            }
        }
    }

    private static (WeightFormat Format, IsaTier Tier) Find(string format, string tier) => (WeightFormats.Find(format)!, KernelCases.Tier(tier));

    private static float[] NaNs(int count) => [.. Enumerable.Repeat(float.NaN, count)];

    private static float[] Product(StoredMatrix matrix, IsaTier tier, ReadOnlySpan<float> x, int tokens)
    {
        using AlignedBuffer bytes = Regions.Copy(matrix.Bytes);
        float[] y = NaNs(tokens * matrix.Rows);
        float[] scratch = new float[MatmulJob.ScratchElements(matrix.Columns)];
        matrix.Format.Open(bytes.Region, matrix.Rows, matrix.Columns, tier).MultiplyRows(0, matrix.Rows, x, tokens, y, scratch);
        return y;
    }

    // A chain of n fused products loses at most n · 2^-24 of the sum of sizes; in practice errors cancel and 1e-6 is ample for these lengths.
    internal static void CheckAgainstF64(StoredMatrix matrix, float[] x, float[] y, string what)
    {
        int columns = matrix.Columns;
        for (int token = 0; token < y.Length / matrix.Rows; token++)
        {
            for (int row = 0; row < matrix.Rows; row++)
            {
                double sum = 0;
                double size = 0;
                for (int k = 0; k < columns; k++)
                {
                    double product = (double)matrix.Values[(row * columns) + k] * x[(token * columns) + k];
                    sum += product;
                    size += Math.Abs(product);
                }

                double error = Math.Abs(y[(token * matrix.Rows) + row] - sum);
                if (!(error <= (1e-6 * size) + (columns * (double)float.Epsilon)))
                {
                    Assert.Fail($"{what}, row {row}, token {token}: expected {sum:r}, found {y[(token * matrix.Rows) + row]:r}; sizes sum to {size:r}.");
                }
            }
        }
    }

    /// <summary>The memory of one product, every piece of it between guard pages.</summary>
    private sealed class Guards(int elements) : IDisposable
    {
        private readonly GuardedBuffer _weights = GuardedBuffer.Allocate(elements * sizeof(float));
        private readonly GuardedBuffer _x = GuardedBuffer.Allocate(elements * sizeof(float));
        private readonly GuardedBuffer _y = GuardedBuffer.Allocate(MaxTokens * MaxRows * sizeof(float));
        private readonly GuardedBuffer _scratch = GuardedBuffer.Allocate((elements + 4096) * sizeof(float));

        public ReadOnlySpan<float> Product(
            WeightFormat format, IsaTier tier, ReadOnlySpan<byte> stored, int rows, int columns, ReadOnlySpan<float> x, int tokens, bool atEnd)
        {
            _weights.Copy(stored, atEnd);
            Span<float> y = _y.Slice<float>(tokens * rows, atEnd);
            format.Open(_weights.Part(stored.Length, atEnd), rows, columns, tier)
                .MultiplyRows(0, rows, _x.Copy(x, atEnd), tokens, y, _scratch.Slice<float>(MatmulJob.ScratchElements(columns), atEnd));
            return y;
        }

        public ReadOnlySpan<float> Row(StoredMatrix matrix, IsaTier tier, int row, bool atEnd)
        {
            _weights.Copy<byte>(matrix.Bytes, atEnd);
            Span<float> values = _x.Slice<float>(matrix.Columns, atEnd);
            matrix.Format.Open(_weights.Part(matrix.Bytes.Length, atEnd), matrix.Rows, matrix.Columns, tier).DequantizeRow(row, values);
            return values;
        }

        public void Dispose()
        {
            _weights.Dispose();
            _x.Dispose();
            _y.Dispose();
            _scratch.Dispose();
        }
    }
}
