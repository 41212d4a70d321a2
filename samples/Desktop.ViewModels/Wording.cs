using System.Globalization;

namespace DesktopSample.ViewModels;

/// <summary>Numbers in words.</summary>
internal static class Wording
{
    private const double Mebi = 1 << 20;

    /// <summary>Memory or file size: <c>12.3 MB</c>, <c>4.5 GB</c>.</summary>
    public static string Bytes(long bytes) => bytes >= 1 << 30
        ? string.Create(CultureInfo.CurrentCulture, $"{bytes / Mebi / 1024:0.0} GB")
        : string.Create(CultureInfo.CurrentCulture, $"{bytes / Mebi:0.0} MB");

    /// <summary>Number of weights: <c>2.0 M</c>, <c>6.7 B</c>.</summary>
    public static string Count(long count) => count >= 1_000_000_000
        ? string.Create(CultureInfo.CurrentCulture, $"{count / 1e9:0.0} B")
        : string.Create(CultureInfo.CurrentCulture, $"{count / 1e6:0.0} M");

    /// <summary>Speed of an answer: <c>12.3 tokens/s, first after 0.4 s</c>.</summary>
    public static string Speed(double tokensPerSecond, TimeSpan first)
    {
        string rate = tokensPerSecond >= 100 ? "N0" : "0.0";
        string wait = first.TotalSeconds >= 1 ? $"{first.TotalSeconds:0.0} s" : $"{first.TotalMilliseconds:0} ms";
        return $"{tokensPerSecond.ToString(rate, CultureInfo.CurrentCulture)} tokens/s, first after {wait}";
    }
}
