namespace Vicuna.Managed.Kernels.Gemm;

/// <summary>Takes rows of a weight's gradient as they are finished. Called from several threads, each row once.</summary>
/// <param name="firstRow">Number of the first row.</param>
/// <param name="rows">f32 <c>[count, cols]</c>; valid during the call, and free to be written to.</param>
/// <param name="columns">Columns, dimensionless.</param>
internal delegate void GradientRows(int firstRow, Span<float> rows, int columns);
