namespace Vicuna.Managed.Compression;

/// <summary>How far scoring has come.</summary>
/// <param name="Step">What is under way: <c>forward</c>, <c>backward</c>, <c>without block</c> or <c>weights</c>.</param>
/// <param name="Block">The block that was finished, from 0.</param>
/// <param name="Fraction">Share of the whole work that is done, 0 to 1.</param>
/// <param name="Remaining">Time left by the speed so far; null before anything can be said.</param>
public readonly record struct ScoreProgress(string Step, int Block, double Fraction, TimeSpan? Remaining);
