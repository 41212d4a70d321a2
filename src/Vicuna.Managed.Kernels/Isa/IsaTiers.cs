namespace Vicuna.Managed.Kernels.Isa;

/// <summary>The tiers that this process can run, decided once at start-up.</summary>
internal static class IsaTiers
{
    /// <summary>Every tier that the CPU and the runtime support, from the slowest to the fastest.</summary>
    public static IReadOnlyList<IsaTier> Supported { get; } = [.. Enum.GetValues<IsaTier>().Where(IsSupported)];

    /// <summary>The fastest supported tier.</summary>
    public static IsaTier Best => Supported[^1];

    /// <summary>Whether a tier can run in this process.</summary>
    public static bool IsSupported(IsaTier tier) => tier switch
    {
        IsaTier.Scalar => Scalar.IsSupported,
        IsaTier.Avx2 => Avx2.IsSupported,
        IsaTier.Avx512 => Avx512.IsSupported,
        _ => false,
    };

    /// <summary>The tier's name in options, tests and benchmark rows.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not a tier.</exception>
    public static string NameOf(IsaTier tier) => tier switch
    {
        IsaTier.Scalar => Scalar.Name,
        IsaTier.Avx2 => Avx2.Name,
        IsaTier.Avx512 => Avx512.Name,
        _ => throw new ArgumentOutOfRangeException(nameof(tier), tier, "Not a tier."),
    };

    /// <summary>Checks that a tier can run here.</summary>
    /// <exception cref="PlatformNotSupportedException">The CPU or the runtime lacks its instructions.</exception>
    public static IsaTier Require(IsaTier tier) => IsSupported(tier)
        ? tier
        : throw new PlatformNotSupportedException(
            $"The instruction set '{NameOf(tier)}' is not available to this process; it has {string.Join(", ", Supported.Select(NameOf))}.");
}
