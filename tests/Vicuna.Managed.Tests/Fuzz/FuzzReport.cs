namespace Vicuna.Managed.Tests.Fuzz;

/// <summary>What a run over one target took.</summary>
/// <param name="Inputs">Inputs that were run.</param>
/// <param name="Seconds">Time in all.</param>
/// <param name="SlowestMilliseconds">Time of the slowest input.</param>
/// <param name="MostBytes">Managed bytes that one input made the parser allocate, at most.</param>
internal sealed record FuzzReport(long Inputs, double Seconds, double SlowestMilliseconds, long MostBytes);
