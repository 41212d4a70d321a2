namespace Vicuna.Managed.Kernels.Formats;

/// <summary>The registry: a new format is one line here and one folder or file beside it; tests and benchmarks run over <see cref="All"/>.</summary>
internal static class WeightFormats
{
    /// <summary>Every format that a matrix can be stored in.</summary>
    public static IReadOnlyList<WeightFormat> All { get; } =
    [
        new WeightFormat<F32>(),
        new WeightFormat<F16>(),
        new WeightFormat<BF16>(),
        new WeightFormat<Q8_0>(),
        new WeightFormat<Q4_0>(),
        new WeightFormat<Q4_1>(),
        new WeightFormat<Q5_0>(),
        new WeightFormat<Q5_1>(),
        new WeightFormat<Q4_K>(),
        new WeightFormat<Q5_K>(),
        new WeightFormat<Q6_K>(),
    ];

    /// <summary>Finds a format by its name, or null.</summary>
    public static WeightFormat? Find(string name) => All.FirstOrDefault(format => format.Name == name);
}
