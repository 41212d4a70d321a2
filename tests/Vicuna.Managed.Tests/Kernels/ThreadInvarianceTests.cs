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
        const int rows = 301, maxTokens = 7;
        WeightFormat format = WeightFormats.Find(formatName)!;
        Random random = new(1);
        int columns = format.BlockElements == 1 ? 333 : 512;
        StoredMatrix stored = StoredMatrix.Create(format, DataKind.ZeroMean, rows, columns, random);
        using AlignedBuffer bytes = Regions.Copy(stored.Bytes);
        WeightMatrix matrix = format.Open(bytes.Region, rows, columns, KernelCases.Tier(tierName));
        using AlignedBuffer x = AlignedBuffer.AllocateFloats(maxTokens * columns);
        using AlignedBuffer y = AlignedBuffer.AllocateFloats(maxTokens * rows);
        StoredMatrix.Activations(DataKind.ZeroMean, maxTokens * columns, random).CopyTo(x.Floats(0, maxTokens * columns));
        MatmulJob job = new();
        foreach (int tokens in new[] { 0, 1, 2, maxTokens })
        {
            float[] expected = new float[tokens * rows];
            matrix.MultiplyRows(0, rows, x.Floats(0, tokens * columns), tokens, expected, new float[MatmulJob.ScratchElements(columns)]);
            foreach (int threads in ThreadCounts)
            {
                using WorkerPool pool = new(threads, MatmulJob.ScratchElements(columns));
                y.Floats(0, maxTokens * rows).Fill(float.NaN);
                matrix.Multiply(job, pool, x, tokens, y);
                KernelCases.AssertSameBits(expected, y.Floats(0, tokens * rows), $"{threads} threads, {tokens} tokens");
            }
        }

        using WorkerPool two = new(2, MatmulJob.ScratchElements(columns));
        format.Open(bytes.Region.Slice(0, 0), 0, columns, KernelCases.Tier(tierName)).Multiply(job, two, x, 1, y);
    }

    [Theory]
    [MemberData(nameof(Tiers))]
    public void Attention_AnyThreadCountAndChunk_GivesTheSameBitsAndAgreesWithTheReference(string tierName)
    {
        const int heads = 6, tokens = 150, layer = 1;
        KvShape shape = new(3, 2, 20);
        int width = heads * shape.HeadDim;
        using Pages pages = new(shape, 3);
        using AlignedBuffer queries = AlignedBuffer.AllocateFloats(tokens * width);
        Floats.Random(tokens * width, 2, 9).CopyTo(queries.Floats(0, tokens * width));
        Operations operations = Operations.For(KernelCases.Tier(tierName));
        foreach (int window in new[] { int.MaxValue, 1, 5, 64, 100 })
        {
            float[]? first = null;
            foreach (int threads in ThreadCounts)
            {
                foreach (int chunk in new[] { tokens, 1, 37, 64 })
                {
                    float[] result = Attend(operations, threads, pages, layer, chunk, window, queries, shape, heads, tokens);
                    first ??= result;
                    KernelCases.AssertSameBits(first, result, $"{threads} threads, chunks of {chunk}, window {window}");
                }
            }

            CheckAttention(first!, queries.Floats(0, tokens * width).ToArray(), pages, shape, layer, heads, window);
        }
    }

    private static float[] Attend(
        Operations operations, int threads, Pages pages, int layer, int chunk, int window, AlignedBuffer queries, KvShape shape, int heads, int tokens)
    {
        int width = heads * shape.HeadDim;
        float[] result = new float[tokens * width];
        using WorkerPool pool = new(threads, AttentionJob.ScratchElements(heads / shape.KeyValueHeads));
        using AlignedBuffer input = AlignedBuffer.AllocateFloats(chunk * width);
        using AlignedBuffer output = AlignedBuffer.AllocateFloats(chunk * width);
        AttentionJob job = new(shape, heads);
        for (int position = 0; position < tokens; position += chunk)
        {
            int count = Math.Min(chunk, tokens - position);
            queries.Floats(position * width, count * width).CopyTo(input.Floats(0, count * width));
            job.Run(operations, pool, pages.Buffers, layer, position, count, window, input, output);
            output.Floats(0, count * width).CopyTo(result.AsSpan(position * width));
        }

        return result;
    }

    private static void CheckAttention(float[] result, float[] queries, Pages pages, KvShape shape, int layer, int heads, int window)
    {
        int size = shape.HeadDim;
        double[] expected = new double[size];
        for (int row = 0; row < result.Length / size; row++)
        {
            int position = row / heads;
            int keyValueHead = row % heads / (heads / shape.KeyValueHeads);
            int from = (int)Math.Max(0, position - (long)window + 1);
            Attention.Reference(
                queries.AsSpan(row * size, size),
                pages.Gather(layer, keyValueHead, from, position, shape.KeyOffset),
                pages.Gather(layer, keyValueHead, from, position, shape.ValueOffset),
                1 / Math.Sqrt(size),
                expected);
            Floats.AssertClose(expected, result.AsSpan(row * size, size), 0, 1e-5, $"position {position}, head {row % heads}, window {window}");
        }
    }

    /// <summary>A cache full of random numbers.</summary>
    private sealed class Pages : IDisposable
    {
        private readonly KvShape _shape;

        public Pages(KvShape shape, int count)
        {
            _shape = shape;
            Buffers = [.. Enumerable.Range(0, count).Select(page =>
            {
                AlignedBuffer buffer = AlignedBuffer.AllocateFloats(shape.PageElements);
                Floats.Random((int)shape.PageElements, 2, page).CopyTo(buffer.Floats(0, (int)shape.PageElements));
                return buffer;
            })];
        }

        public AlignedBuffer[] Buffers { get; }

        public float[] Gather(int layer, int head, int from, int to, Func<int, int, long> offset) =>
            [.. Enumerable.Range(from, to - from + 1).SelectMany(position => Buffers[position / KvShape.PagePositions]
                .Floats(offset(layer, head) + (position % KvShape.PagePositions * _shape.HeadDim), _shape.HeadDim).ToArray())];

        public void Dispose() => Array.ForEach(Buffers, buffer => buffer.Dispose());
    }
}
