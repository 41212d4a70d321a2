using Vicuna.Managed.Kernels.Formats;
using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Kernels.Matmul;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Kernels.Ops;
using Vicuna.Managed.Kernels.Threading;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.Kernels;

/// <summary>The number of threads changes no bit.</summary>
public sealed class ThreadInvarianceTests
{
    private static readonly int[] ThreadCounts = [1, 2, 3, 5, 16];

    public static TheoryData<string, string> Cases() => KernelCases.FormatsAndTiers();

    public static TheoryData<string> Tiers() => [.. KernelCases.Tiers];

    [Theory]
    [MemberData(nameof(Cases))]
    public void Multiply_AnyThreadCount_GivesTheSameBits(string formatName, string tierName)
    {
        const int rows = 301, maxTokens = 14;
        WeightFormat format = WeightFormats.Find(formatName)!;
        Random random = new(1);
        int columns = format.BlockElements == 1 ? 333 : 512;
        StoredMatrix stored = StoredMatrix.Create(format, DataKind.ZeroMean, rows, columns, random);
        using AlignedBuffer bytes = Regions.Copy(stored.Bytes);
        WeightMatrix matrix = format.Open(bytes.Region, rows, columns, KernelCases.Tier(tierName));
        using AlignedBuffer x = AlignedBuffer.AllocateFloats(maxTokens * columns);
        using AlignedBuffer y = AlignedBuffer.AllocateFloats(maxTokens * rows);
        StoredMatrix.Activations(DataKind.ZeroMean, maxTokens * columns, random).CopyTo(x.Floats(0, maxTokens * columns));
        foreach (int tokens in new[] { 0, 1, 2, 7, maxTokens })
        {
            float[] expected = new float[tokens * rows];
            matrix.MultiplyRows(0, rows, x.Floats(0, tokens * columns), tokens, expected, new float[MatmulJob.ScratchElements(columns)]);
            foreach (int threads in ThreadCounts)
            {
                using WorkerPool pool = new(threads, MatmulJob.ScratchElements(columns));
                y.Floats(0, maxTokens * rows).Fill(float.NaN);
                matrix.Multiply(KernelCases.Tier(tierName), pool, x, tokens, y);
                KernelCases.AssertSameBits(expected, y.Floats(0, tokens * rows), $"{threads} threads, {tokens} tokens");
            }
        }

        using WorkerPool two = new(2, MatmulJob.ScratchElements(columns));
        format.Open(bytes.Region.Slice(0, 0), 0, columns, KernelCases.Tier(tierName)).Multiply(KernelCases.Tier(tierName), two, x, 1, y);
    }

    [Theory]
    [MemberData(nameof(Tiers))]
    public void Attention_AnyThreadCountChunkAndNeighbors_GivesTheSameBitsAndAgreesWithTheReference(string tierName)
    {
        const int heads = 6, tokens = 150, layer = 1;
        Operations operations = Operations.For(KernelCases.Tier(tierName));
        float[] queries = Floats.Random(tokens * heads * 20, 2, 9);
        foreach ((KvType type, int keyValueHeads, int window) in new[]
        {
            (KvType.F32, 2, int.MaxValue), (KvType.F32, 6, 5), (KvType.F16, 2, 100), (KvType.F16, 1, int.MaxValue), (KvType.Q8, 3, 64), (KvType.Q8, 6, 1),
        })
        {
            KvShape shape = new(3, keyValueHeads, 20, type);
            using AttendedSequence sequence = new(shape, operations, tokens, layer, 1);
            using AttendedSequence neighbor = new(shape, operations, 70, layer, 2);
            float[]? first = null;
            foreach (int threads in ThreadCounts)
            {
                foreach (int chunk in new[] { tokens, 1, 37, 64 })
                {
                    float[] result = Attend(operations, threads, sequence, neighbor, layer, chunk, window, queries, heads);
                    first ??= result;
                    KernelCases.AssertSameBits(first, result, $"{type}, {threads} threads, chunks of {chunk}, window {window}");
                }
            }

            CheckAttention(first!, queries, sequence, heads, window);
        }
    }

    // The sequence in chunks; from the second on with a neighbor of another length before it.
    private static float[] Attend(
        Operations operations, int threads, AttendedSequence sequence, AttendedSequence neighbor, int layer, int chunk, int window, float[] queries, int heads)
    {
        KvShape shape = sequence.Shape;
        int width = heads * shape.HeadDim;
        float[] result = new float[queries.Length];
        using WorkerPool pool = new(threads, AttentionJob.ScratchElements(shape.HeadDim));
        using AlignedBuffer input = AlignedBuffer.AllocateFloats((chunk + 3) * width);
        using AlignedBuffer output = AlignedBuffer.AllocateFloats((chunk + 3) * width);
        AttentionJob job = new(shape, heads, 2);
        for (int position = 0; position < queries.Length / width; position += chunk)
        {
            int count = Math.Min(chunk, (queries.Length / width) - position);
            int before = position == 0 ? 0 : 3;
            queries.AsSpan(position * width, count * width).CopyTo(input.Floats(before * width, count * width));
            List<KvRun> runs = [new KvRun(sequence.Pages, position, count)];
            if (before > 0)
            {
                runs.Insert(0, new KvRun(neighbor.Pages, 66, before));
            }

            job.Run(operations, pool, runs, layer, window, input, output);
            output.Floats(before * width, count * width).CopyTo(result.AsSpan(position * width));
        }

        return result;
    }

    private static void CheckAttention(float[] result, float[] queries, AttendedSequence sequence, int heads, int window)
    {
        int size = sequence.Shape.HeadDim;
        double[] expected = new double[size];
        for (int row = 0; row < result.Length / size; row++)
        {
            int position = row / heads;
            int keyValueHead = row % heads / (heads / sequence.Shape.KeyValueHeads);
            int from = (int)Math.Max(0, position - (long)window + 1);
            Attention.Reference(
                queries.AsSpan(row * size, size), sequence.Read(keyValueHead, from, position, keys: true), sequence.Read(keyValueHead, from, position, keys: false), 1 / Math.Sqrt(size), expected);
            Floats.AssertClose(expected, result.AsSpan(row * size, size), 0, 1e-5, $"position {position}, head {row % heads}, window {window}");
        }
    }

    /// <summary>Pages full of random numbers in one layer.</summary>
    private sealed class AttendedSequence : IDisposable
    {
        private readonly int _layer;

        public AttendedSequence(KvShape shape, Operations operations, int tokens, int layer, int seed)
        {
            Shape = shape;
            _layer = layer;
            Pages = [.. Enumerable.Range(0, (tokens + KvShape.PagePositions - 1) / KvShape.PagePositions).Select(_ => new KvPage(shape))];
            for (int position = 0; position < tokens; position++)
            {
                for (int head = 0; head < shape.KeyValueHeads; head++)
                {
                    operations.Store(shape.Type, Floats.Random(shape.HeadDim, 2, (position * 100) + head + seed), Run(position, head, keys: true), position % KvShape.PagePositions, true);
                    operations.Store(shape.Type, Floats.Random(shape.HeadDim, 2, (position * 100) + head + seed + 50), Run(position, head, keys: false), position % KvShape.PagePositions, false);
                }
            }
        }

        public KvShape Shape { get; }

        public KvPage[] Pages { get; }

        public float[] Read(int head, int from, int to, bool keys) =>
            [.. Enumerable.Range(from, to - from + 1).SelectMany(position =>
                KvPageReader.Read(Shape.Type, Run(position, head, keys), Shape.HeadDim, position % KvShape.PagePositions, keys))];

        public void Dispose() => Array.ForEach(Pages, page => page.Release());

        private Span<byte> Run(int position, int head, bool keys) =>
            Pages[position / KvShape.PagePositions].Run(keys ? Shape.KeyOffset(_layer, head) : Shape.ValueOffset(_layer, head), Shape);
    }
}
