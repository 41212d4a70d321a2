namespace Vicuna.Managed.Models;

/// <summary>Names and shapes of the matrices of a block.</summary>
internal static class BlockMatrices
{
    private static readonly string[] InOrder =
    [
        "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj",
    ];

    /// <summary>Their paths inside a block in Hugging Face's scheme, in the order of <see cref="BlockMatrix"/>.</summary>
    public static IReadOnlyList<string> Names => InOrder;

    /// <summary>A matrix's path inside its block: <c>self_attn.q_proj</c>.</summary>
    public static string NameOf(BlockMatrix matrix) => InOrder[(int)matrix];

    /// <summary>Finds a matrix by its path inside its block.</summary>
    public static bool TryFind(ReadOnlySpan<char> name, out BlockMatrix matrix)
    {
        for (int i = 0; i < InOrder.Length; i++)
        {
            if (name.SequenceEqual(InOrder[i]))
            {
                matrix = (BlockMatrix)i;
                return true;
            }
        }

        matrix = default;
        return false;
    }

    /// <summary>A matrix's shape, <c>[rows, cols]</c>.</summary>
    public static (int Rows, int Columns) ShapeOf(BlockMatrix matrix, ModelConfig config)
    {
        int queries = config.NumAttentionHeads * config.HeadDim;
        int keys = config.NumKeyValueHeads * config.HeadDim;
        return matrix switch
        {
            BlockMatrix.Query => (queries, config.HiddenSize),
            BlockMatrix.Key or BlockMatrix.Value => (keys, config.HiddenSize),
            BlockMatrix.Output => (config.HiddenSize, queries),
            BlockMatrix.Gate or BlockMatrix.Up => (config.IntermediateSize, config.HiddenSize),
            BlockMatrix.Down => (config.HiddenSize, config.IntermediateSize),
            _ => throw new ArgumentOutOfRangeException(nameof(matrix), matrix, "Not a matrix of a block."),
        };
    }
}
