using System.Globalization;
using Vicuna.Managed.Kernels.Matmul;
using Vicuna.Managed.Models;

namespace Vicuna.Managed.Compression.Backprop;

/// <summary>Hugging Face's names of a model's weights, and the weights themselves.</summary>
internal static class TensorNames
{
    /// <summary>The projections of a block, in the order of the forward pass.</summary>
    public static readonly IReadOnlyList<Projection> BlockProjections =
        [Projection.Query, Projection.Key, Projection.Value, Projection.Output, Projection.Gate, Projection.Up, Projection.Down];

    /// <summary>A projection's path inside its block: <c>self_attn.q_proj</c>.</summary>
    public static string PathOf(Projection projection) => projection switch
    {
        Projection.Query => "self_attn.q_proj",
        Projection.Key => "self_attn.k_proj",
        Projection.Value => "self_attn.v_proj",
        Projection.Output => "self_attn.o_proj",
        Projection.Gate => "mlp.gate_proj",
        Projection.Up => "mlp.up_proj",
        Projection.Down => "mlp.down_proj",
        _ => throw new ArgumentOutOfRangeException(nameof(projection), projection, "Not a projection of a block."),
    };

    /// <summary>The whole name of a matrix.</summary>
    public static string Of(int layer, Projection projection) =>
        projection == Projection.Head ? "lm_head.weight" : string.Create(CultureInfo.InvariantCulture, $"model.layers.{layer}.{PathOf(projection)}.weight");

    /// <summary>The whole name of a gain.</summary>
    public static string Of(int layer, Gain gain) => gain switch
    {
        Gain.Attention => string.Create(CultureInfo.InvariantCulture, $"model.layers.{layer}.input_layernorm.weight"),
        Gain.FeedForward => string.Create(CultureInfo.InvariantCulture, $"model.layers.{layer}.post_attention_layernorm.weight"),
        _ => "model.norm.weight",
    };

    /// <summary>A matrix of a block.</summary>
    public static WeightMatrix MatrixOf(BlockWeights block, Projection projection) => projection switch
    {
        Projection.Query => block.Query,
        Projection.Key => block.Key,
        Projection.Value => block.Value,
        Projection.Output => block.Output,
        Projection.Gate => block.Gate,
        Projection.Up => block.Up,
        Projection.Down => block.Down,
        _ => throw new ArgumentOutOfRangeException(nameof(projection), projection, "Not a projection of a block."),
    };

    /// <summary>A bias of a block, empty where it has none.</summary>
    public static float[] BiasOf(BlockWeights block, Projection projection) => projection switch
    {
        Projection.Query => block.QueryBias,
        Projection.Key => block.KeyBias,
        Projection.Value => block.ValueBias,
        Projection.Output => block.OutputBias,
        Projection.Gate => block.GateBias,
        Projection.Up => block.UpBias,
        Projection.Down => block.DownBias,
        _ => throw new ArgumentOutOfRangeException(nameof(projection), projection, "Not a projection of a block."),
    };
}
