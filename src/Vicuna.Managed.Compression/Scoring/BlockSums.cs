using System.Globalization;

namespace Vicuna.Managed.Compression.Scoring;

/// <summary>Scores of blocks from scores of their weights.</summary>
internal static class BlockSums
{
    /// <summary>A block's score is the sum over its nine tensors.</summary>
    /// <param name="criterion">What was measured.</param>
    /// <param name="layers">Number of blocks.</param>
    /// <param name="names">All tensor names in the order of the model; those without a score are left out.</param>
    /// <param name="scores">The scores by name.</param>
    /// <param name="samples">Samples that were measured on, or null.</param>
    public static BlockScores Of(ScoreCriterion criterion, int layers, IEnumerable<string> names, IReadOnlyDictionary<string, double> scores, int? samples)
    {
        KeyValuePair<string, double>[] weights = [.. names.Where(scores.ContainsKey).Select(name => KeyValuePair.Create(name, scores[name]))];
        foreach ((string name, double score) in weights)
        {
            if (!double.IsFinite(score))
            {
                throw new NonFiniteLogitsException($"{name}: expected a finite score, found {score.ToString(CultureInfo.InvariantCulture)}.");
            }
        }

        double[] blocks = [.. Enumerable.Range(0, layers).Select(layer => weights.Where(weight => weight.Key.StartsWith(Prefix(layer), StringComparison.Ordinal)).Sum(weight => weight.Value))];
        return new BlockScores(criterion, blocks, weights) { Samples = samples };
    }

    private static string Prefix(int layer) => string.Create(CultureInfo.InvariantCulture, $"model.layers.{layer}.");
}
