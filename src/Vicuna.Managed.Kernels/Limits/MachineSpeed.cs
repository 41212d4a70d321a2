namespace Vicuna.Managed.Kernels.Limits;

/// <summary>What the machine can do at most, measured.</summary>
/// <param name="MemoryReadGBPerSecond">Bytes read from memory per second, in 10^9.</param>
/// <param name="FmaPeakGFlops">Floating-point operations per second in f32, in 10^9; a fused multiply-add is two.</param>
internal readonly record struct MachineSpeed(double MemoryReadGBPerSecond, double FmaPeakGFlops);
