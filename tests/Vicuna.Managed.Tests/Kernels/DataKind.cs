namespace Vicuna.Managed.Tests.Kernels;

/// <summary>What the numbers of a kernel test look like.</summary>
public enum DataKind
{
    /// <summary>Signed, around zero, of like size.</summary>
    ZeroMean,

    /// <summary>Signed, of sizes many powers of two apart, subnormal numbers included.</summary>
    LargeRange,

    /// <summary>All zero.</summary>
    Zero,

    /// <summary>Signed, with one block thousands of times as large.</summary>
    Outlier,

    /// <summary>The largest finite numbers of the format, of both signs.</summary>
    Max,
}
