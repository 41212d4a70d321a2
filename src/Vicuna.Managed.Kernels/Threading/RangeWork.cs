namespace Vicuna.Managed.Kernels.Threading;

/// <summary>Work over rows <paramref name="start"/> to <paramref name="end"/> - 1; see <see cref="ParallelJob.Run"/>.</summary>
internal delegate void RangeWork(int start, int end, Span<float> scratch);
