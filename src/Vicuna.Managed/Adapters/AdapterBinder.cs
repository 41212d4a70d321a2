using Vicuna.Managed.Kernels.Formats;
using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Kernels.Ops;
using Vicuna.Managed.Models;
using Vicuna.Managed.Weights.Gguf;

namespace Vicuna.Managed.Adapters;

/// <summary>Ties an adapter's factors to the places of a model, every one checked against the model's shape.</summary>
internal static class AdapterBinder
{
    /// <summary>Checks an adapter and lays its factors out for passes.</summary>
    /// <param name="adapter">The adapter.</param>
    /// <param name="config">The model's shape.</param>
    /// <param name="style">Row order of the model's Q and K.</param>
    /// <param name="tier">The instruction set.</param>
    /// <param name="source">The adapter's name, for messages.</param>
    /// <exception cref="ModelFormatException">A factor belongs to no block of the model, or has another shape.</exception>
    public static AdapterWeights Bind(PeftAdapter adapter, ModelConfig config, RopeStyle style, IsaTier tier, string source)
    {
        Check(adapter, config, source);
        AdapterWeights weights = new(config.NumHiddenLayers);
        foreach (LoraPair pair in adapter.Pairs)
        {
            BlockMatrix matrix = MatrixOf(pair);
            (int rows, int columns) = BlockMatrices.ShapeOf(matrix, config);
            AlignedBuffer down = AlignedBuffer.AllocateFloats(pair.A.Length);
            pair.A.CopyTo(down.Floats(0, pair.A.Length));
            AlignedBuffer up = AlignedBuffer.AllocateFloats(LowRank.PackedElements(rows, pair.Rank));
            Span<float> packed = up.Floats(0, checked((int)(up.Length / sizeof(float))));
            for (int row = 0; row < rows; row++)
            {
                LowRank.PackRow(pair.B.AsSpan(SourceRow(row, matrix, config, style) * pair.Rank, pair.Rank), row, packed);
            }

            weights.Set(pair.Layer, matrix, new AdapterPair(WeightFormats.Find(F32.Name)!.Open(down.Region, pair.Rank, columns, tier), up, rows));
        }

        return weights;
    }

    /// <summary>Checks that an adapter fits a model.</summary>
    /// <exception cref="ModelFormatException">A factor belongs to no block of the model, or has another shape.</exception>
    public static void Check(PeftAdapter adapter, ModelConfig config, string source)
    {
        foreach (LoraPair pair in adapter.Pairs)
        {
            BlockMatrix matrix = MatrixOf(pair);
            (int rows, int columns) = BlockMatrices.ShapeOf(matrix, config);
            if (pair.Layer >= config.NumHiddenLayers)
            {
                throw Wrong(isB: false, $"expected a block of 0 to {config.NumHiddenLayers - 1}, as the model has, found {pair.Layer}");
            }

            if (pair.A.Length != (long)pair.Rank * columns)
            {
                throw Wrong(isB: false, $"expected shape [{pair.Rank}, {columns}] for this model, found [{pair.Rank}, {pair.A.Length / pair.Rank}]");
            }

            if (pair.B.Length != (long)rows * pair.Rank)
            {
                throw Wrong(isB: true, $"expected shape [{rows}, {pair.Rank}] for this model, found [{pair.B.Length / pair.Rank}, {pair.Rank}]");
            }

            ModelFormatException Wrong(bool isB, string problem) => new(source, problem, new PeftTensorName(pair.Layer, matrix, isB).ToString());
        }
    }

    // The row of B that belongs to a row of the model's matrix.
    private static int SourceRow(int row, BlockMatrix matrix, ModelConfig config, RopeStyle style) => (matrix, style) switch
    {
        (BlockMatrix.Query, RopeStyle.Adjacent) => GgufRowOrder.ToHuggingFace(row, config.NumAttentionHeads, config.HeadDim),
        (BlockMatrix.Key, RopeStyle.Adjacent) => GgufRowOrder.ToHuggingFace(row, config.NumKeyValueHeads, config.HeadDim),
        _ => row,
    };

    private static BlockMatrix MatrixOf(LoraPair pair) => BlockMatrices.TryFind(pair.Projection, out BlockMatrix matrix)
        ? matrix
        : throw new ArgumentException($"{pair.Projection} is not a projection of a block.", nameof(pair));
}
