using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Vicuna.Managed.Kernels.Formats;

namespace Vicuna.Managed.Tests.Kernels;

/// <summary>
/// A matrix in a format of which only the block size is known: blocks are random bytes, kept when what they decode to is of the wanted kind.
/// So a new format in the registry is tested without a line here.
/// </summary>
internal sealed class StoredMatrix
{
    private static readonly ConcurrentDictionary<WeightFormat, Dictionary<DataKind, byte[][]>> AllPools = [];

    private StoredMatrix(WeightFormat format, int rows, int columns, byte[] bytes)
    {
        Format = format;
        Rows = rows;
        Columns = columns;
        Bytes = bytes;
        Values = new float[rows * columns];
        format.Dequantize(bytes, Values);
    }

    public WeightFormat Format { get; }

    public int Rows { get; }

    public int Columns { get; }

    public byte[] Bytes { get; }

    public float[] Values { get; }

    public int RowBytes => Bytes.Length / Rows;

    /// <summary>The column counts that a format is tested with: every one up to 257, or every block count up to 64 (16 for blocks of 256).</summary>
    public static IEnumerable<int> ColumnCounts(WeightFormat format) => format.BlockElements switch
    {
        1 => Enumerable.Range(1, 257),
        <= 32 => Enumerable.Range(1, 64).Select(blocks => blocks * format.BlockElements),
        _ => Enumerable.Range(1, 16).Select(blocks => blocks * format.BlockElements),
    };

    public static StoredMatrix Create(WeightFormat format, DataKind kind, int rows, int columns, Random random)
    {
        Dictionary<DataKind, byte[][]> pools = AllPools.GetOrAdd(format, MakePools);
        int rowBlocks = columns / format.BlockElements;
        byte[] bytes = new byte[rows * rowBlocks * format.BlockBytes];
        for (int row = 0; row < rows; row++)
        {
            int outlier = random.Next(rowBlocks);
            for (int block = 0; block < rowBlocks; block++)
            {
                DataKind wanted = kind == DataKind.Outlier && block != outlier ? DataKind.ZeroMean : kind;
                byte[][] pool = pools[wanted];
                pool[random.Next(pool.Length)].CopyTo(bytes, ((row * rowBlocks) + block) * format.BlockBytes);
            }
        }

        return new StoredMatrix(format, rows, columns, bytes);
    }

    /// <summary>Activations that suit a kind: sums stay finite.</summary>
    public static float[] Activations(DataKind kind, int count, Random random)
    {
        float[] x = new float[count];
        for (int i = 0; i < count; i++)
        {
            double value = (random.NextDouble() * 2) - 1;
            x[i] = (float)(kind switch
            {
                DataKind.LargeRange => value * Math.Pow(2, random.Next(-20, 20)),
                DataKind.Max => value * 1e-4,
                _ => value,
            });
        }

        return x;
    }

    // Blocks of every kind.
    private static Dictionary<DataKind, byte[][]> MakePools(WeightFormat format)
    {
        Random random = new(0);
        int count = Math.Max(32, 512 / format.BlockElements);
        byte[][] sample = [.. Enumerable.Range(0, 256 * count).Select(_ => RandomBlock(format, random))];
        (byte[] Block, float Size)[] finite = [.. sample.Select(block => (block, Size(format, block))).Where(pair => float.IsFinite(pair.Item2))];
        byte[][] Between(double low, double high) => [.. finite.Where(pair => pair.Size >= low && pair.Size <= high).Select(pair => pair.Block).Take(count)];
        Dictionary<DataKind, byte[][]> pools = new()
        {
            [DataKind.ZeroMean] = Between(1.0 / 1024, 8),
            [DataKind.LargeRange] = Between(0, Math.Pow(2, 80)),
            [DataKind.Zero] = [new byte[format.BlockBytes]],
            [DataKind.Outlier] = Between(8192, 65536),
            [DataKind.Max] = [.. Largest(format.Name), .. finite.OrderByDescending(pair => pair.Size).Select(pair => pair.Block).Take(count / 4)],
        };
        Assert.All(pools, pool => Assert.NotEmpty(pool.Value));
        return pools;
    }

    // Random bytes almost never hit the very ends of a plain float format.
    private static byte[][] Largest(string format) => format switch
    {
        "f32" => [.. new[] { float.MaxValue, float.MinValue, float.Epsilon, -float.Epsilon, -0f }.Select(BitConverter.GetBytes)],
        "f16" => [.. new[] { Half.MaxValue, Half.MinValue, Half.Epsilon, -Half.Epsilon, Half.NegativeZero }.Select(BitConverter.GetBytes)],
        "bf16" => [.. new ushort[] { 0x7f7f, 0xff7f, 0x0001, 0x8001, 0x8000 }.Select(BitConverter.GetBytes)],
        _ => [],
    };

    // Half of the words are the largest finite half, of either sign: scales are halves, and stand at even offsets.
    private static byte[] RandomBlock(WeightFormat format, Random random)
    {
        byte[] block = new byte[format.BlockBytes];
        random.NextBytes(block);
        if (format.BlockElements > 1 && random.Next(4) == 0)
        {
            foreach (ref ushort word in MemoryMarshal.Cast<byte, ushort>(block.AsSpan()))
            {
                word = random.Next(2) == 0 ? word : (ushort)(0x7bff | (random.Next(2) << 15));
            }
        }

        return block;
    }

    private static float Size(WeightFormat format, byte[] block)
    {
        float[] values = new float[format.BlockElements];
        format.Dequantize(block, values);
        return values.Max(MathF.Abs) is float size && values.All(float.IsFinite) ? size : float.NaN;
    }
}
