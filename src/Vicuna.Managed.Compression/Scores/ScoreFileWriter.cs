using System.Globalization;
using System.Text;

namespace Vicuna.Managed.Compression.Scores;

/// <summary>Writes scores as CSV files with the columns of Nota's. Numbers have as many digits as it takes to read the same number back.</summary>
internal static class ScoreFileWriter
{
    /// <summary>What the file of blocks names a block by.</summary>
    public const string BlockPrefix = "model.layers.";

    /// <summary>Header of a file of perplexities.</summary>
    public const string PerplexityHeader = "removed_block,ppl,num_calib_data,params";

    /// <summary>Header of a file of other scores.</summary>
    public const string BlockHeader = "block_name,block_score";

    // What belongs to no block and has a score in files of Taylor scores and magnitudes.
    private static readonly string[] OutsideBlocks = ["model.norm.weight", "lm_head.weight"];

    /// <summary>The file of blocks.</summary>
    /// <param name="scores">The scores.</param>
    /// <param name="order">Block numbers, the least important first: the order of a file of perplexities.</param>
    public static string Blocks(ScoreTable scores, IReadOnlyList<int> order)
    {
        StringBuilder text = new();
        if (scores.ArePerplexities)
        {
            text.Append(PerplexityHeader).Append('\n');
            foreach (int block in order)
            {
                text.Append(CultureInfo.InvariantCulture, $"{block},{Number(scores.Blocks[block])},{scores.Samples},{scores.ParametersWithoutOne}\n");
            }

            return text.ToString();
        }

        text.Append(BlockHeader).Append('\n');
        for (int block = 0; block < scores.Blocks.Count; block++)
        {
            text.Append(CultureInfo.InvariantCulture, $"{BlockPrefix}{block},{Number(scores.Blocks[block])}\n");
        }

        Append(text, scores.Weights.Where(weight => OutsideBlocks.Contains(weight.Key)));
        return text.ToString();
    }

    /// <summary>The file of weights.</summary>
    public static string Weights(ScoreTable scores) => Append(new StringBuilder("weight_name,weight_score\n"), scores.Weights).ToString();

    /// <summary>The file of block numbers.</summary>
    public static string Order(IReadOnlyList<int> order) => $"{string.Join(',', order.Select(block => block.ToString(CultureInfo.InvariantCulture)))}\n";

    private static StringBuilder Append(StringBuilder text, IEnumerable<KeyValuePair<string, double>> weights)
    {
        foreach ((string name, double score) in weights)
        {
            text.Append(CultureInfo.InvariantCulture, $"{name},{Number(score)}\n");
        }

        return text;
    }

    // Infinity as Python and pandas spell it.
    private static string Number(double value) => double.IsPositiveInfinity(value) ? "inf" : value.ToString("R", CultureInfo.InvariantCulture);
}
