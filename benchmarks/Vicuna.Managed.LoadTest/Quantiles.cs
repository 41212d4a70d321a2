namespace Vicuna.Managed.LoadTest;

/// <summary>Quantiles of measured numbers.</summary>
internal static class Quantiles
{
    /// <summary>The smallest number that at least a share of all does not exceed (nearest rank); NaN of none.</summary>
    /// <param name="numbers">The numbers, in any order.</param>
    /// <param name="share">Above 0, at most 1.</param>
    public static double Of(IEnumerable<double> numbers, double share)
    {
        double[] sorted = [.. numbers.Order()];
        return sorted.Length == 0 ? double.NaN : sorted[Math.Max((int)Math.Ceiling(share * sorted.Length) - 1, 0)];
    }
}
