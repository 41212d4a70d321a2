using System.Globalization;

namespace Vicuna.Managed.Compression.Scoring;

/// <summary>What is made of the losses of single predictions.</summary>
internal static class Losses
{
    /// <summary>e to the mean.</summary>
    public static double Perplexity(double[] losses) => Math.Exp(losses.Sum() / losses.Length);

    /// <summary>Refuses what is not a number.</summary>
    /// <exception cref="NonFiniteLogitsException">One is not.</exception>
    public static void RequireFinite(double[] losses)
    {
        int found = Array.FindIndex(losses, loss => !double.IsFinite(loss));
        if (found >= 0)
        {
            throw new NonFiniteLogitsException(
                string.Create(CultureInfo.InvariantCulture, $"Prediction {found}: expected a finite loss, found {losses[found]}; the model's weights or a sample are damaged."));
        }
    }
}
