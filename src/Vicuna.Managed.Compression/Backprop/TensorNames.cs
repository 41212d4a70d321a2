using System.Globalization;
using Vicuna.Managed.Kernels.Matmul;
using Vicuna.Managed.Models;

namespace Vicuna.Managed.Compression.Backprop;

/// <summary>Hugging Face's names of a model's weights, and the weights themselves.</summary>
internal static class TensorNames
{
    /// <summary>The token embedding.</summary>
    public const string Embedding = "model.embed_tokens.weight";

    /// <summary>The output head.</summary>
    public const string Head = "lm_head.weight";

    /// <summary>The whole name of a matrix of a block.</summary>
    public static string Of(int layer, BlockMatrix matrix) => string.Create(CultureInfo.InvariantCulture, $"model.layers.{layer}.{BlockMatrices.NameOf(matrix)}.weight");

    /// <summary>The whole name of a gain.</summary>
    public static string Of(int layer, Gain gain) => gain switch
    {
        Gain.Attention => string.Create(CultureInfo.InvariantCulture, $"model.layers.{layer}.input_layernorm.weight"),
        Gain.FeedForward => string.Create(CultureInfo.InvariantCulture, $"model.layers.{layer}.post_attention_layernorm.weight"),
        _ => "model.norm.weight",
    };

    /// <summary>All names but the embedding's, in the order of the model; a tied head has none.</summary>
    public static IEnumerable<string> All(ModelConfig config)
    {
        for (int layer = 0; layer < config.NumHiddenLayers; layer++)
        {
            yield return Of(layer, Gain.Attention);
            foreach (BlockMatrix matrix in Enum.GetValues<BlockMatrix>())
            {
                if (matrix == BlockMatrix.Gate)
                {
                    yield return Of(layer, Gain.FeedForward);
                }

                yield return Of(layer, matrix);
            }
        }

        yield return Of(0, Gain.Final);
        if (!config.TieWordEmbeddings)
        {
            yield return Head;
        }
    }

    /// <summary>A matrix of a block.</summary>
    public static WeightMatrix MatrixOf(BlockWeights block, BlockMatrix matrix) => matrix switch
    {
        BlockMatrix.Query => block.Query,
        BlockMatrix.Key => block.Key,
        BlockMatrix.Value => block.Value,
        BlockMatrix.Output => block.Output,
        BlockMatrix.Gate => block.Gate,
        BlockMatrix.Up => block.Up,
        BlockMatrix.Down => block.Down,
        _ => throw new ArgumentOutOfRangeException(nameof(matrix), matrix, "Not a matrix of a block."),
    };

    /// <summary>A bias of a block, empty where it has none.</summary>
    public static float[] BiasOf(BlockWeights block, BlockMatrix matrix) => matrix switch
    {
        BlockMatrix.Query => block.QueryBias,
        BlockMatrix.Key => block.KeyBias,
        BlockMatrix.Value => block.ValueBias,
        BlockMatrix.Output => block.OutputBias,
        BlockMatrix.Gate => block.GateBias,
        BlockMatrix.Up => block.UpBias,
        BlockMatrix.Down => block.DownBias,
        _ => throw new ArgumentOutOfRangeException(nameof(matrix), matrix, "Not a matrix of a block."),
    };
}
