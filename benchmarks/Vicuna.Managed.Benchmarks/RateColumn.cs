using System.Globalization;
using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;

namespace Vicuna.Managed.Benchmarks;

/// <summary>Units of work per second of the mean time, such as GB/s of weights or tokens/s.</summary>
/// <param name="name">The column's head, the unit included.</param>
/// <param name="legend">What is counted.</param>
/// <param name="unitsPerCall">Units that one call of a benchmark does; 0 where they say nothing.</param>
internal sealed class RateColumn(string name, string legend, Func<BenchmarkCase, double> unitsPerCall) : IColumn
{
    public string Id => $"Rate.{name}";

    public string ColumnName => name;

    public bool AlwaysShow => true;

    public ColumnCategory Category => ColumnCategory.Custom;

    public int PriorityInCategory => 0;

    public bool IsNumeric => true;

    public UnitType UnitType => UnitType.Dimensionless;

    public string Legend => legend;

    public string GetValue(Summary summary, BenchmarkCase benchmarkCase) =>
        summary[benchmarkCase]?.ResultStatistics is { } statistics && unitsPerCall(benchmarkCase) is > 0 and double units
            ? (units / (statistics.Mean * 1e-9)).ToString("F2", CultureInfo.InvariantCulture)
            : "-";

    public string GetValue(Summary summary, BenchmarkCase benchmarkCase, SummaryStyle style) => GetValue(summary, benchmarkCase);

    public bool IsAvailable(Summary summary) => true;

    public bool IsDefault(Summary summary, BenchmarkCase benchmarkCase) => false;
}
