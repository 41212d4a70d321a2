namespace Vicuna.Managed.Models;

/// <summary>An adapter and how much of it is added.</summary>
/// <param name="Weights">The adapter.</param>
/// <param name="Scale">Factor of B·A, dimensionless: the adapter's own, times the weight that its user gives it.</param>
internal readonly record struct AdapterEntry(AdapterWeights Weights, float Scale);
