namespace Vicuna.Managed.Cli;

/// <summary>A line of a chart.</summary>
/// <param name="Name">What the legend calls it.</param>
/// <param name="Points">Where it goes; points that are not numbers are left out.</param>
internal sealed record ChartSeries(string Name, IReadOnlyList<(double X, double Y)> Points)
{
    /// <summary>Whether the line stands behind the others, pale: numbers that scatter.</summary>
    public bool IsBackground { get; init; }

    /// <summary>Whether every point has a mark: few numbers.</summary>
    public bool HasMarks { get; init; }
}
