namespace Vicuna.Managed.Compression;

/// <summary>A measurement on the held-out samples.</summary>
/// <param name="Step">Steps that had been done.</param>
/// <param name="Loss">Mean loss of the held-out samples' targets, in nats.</param>
public sealed record ValidationLoss(int Step, double Loss);
