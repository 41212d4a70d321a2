namespace Vicuna.Managed.Compression;

/// <summary>A measured value in a report.</summary>
/// <param name="Name">What was measured, the head of its column.</param>
/// <param name="Value">The value: a perplexity, or an accuracy from 0 to 1.</param>
public sealed record ModelReportValue(string Name, double Value);
