using System.Runtime.InteropServices;
using Vicuna.Managed.Kernels.Formats;
using Vicuna.Managed.Kernels.Isa;

namespace Vicuna.Managed.Tests.Kernels;

/// <summary>Names for theories (the types are internal), and comparison bit by bit.</summary>
internal static class KernelCases
{
    public static IEnumerable<string> Formats => WeightFormats.All.Select(format => format.Name);

    public static IEnumerable<string> Tiers => IsaTiers.Supported.Select(IsaTiers.NameOf);

    public static TheoryData<string, string> FormatsAndTiers()
    {
        TheoryData<string, string> cases = [];
        foreach (string format in Formats)
        {
            foreach (string tier in Tiers)
            {
                cases.Add(format, tier);
            }
        }

        return cases;
    }

    public static IsaTier Tier(string name) => IsaTiers.Supported.Single(tier => IsaTiers.NameOf(tier) == name);

    /// <summary>Equal bit by bit; any NaN equals any NaN.</summary>
    public static bool SameBits(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        if (MemoryMarshal.AsBytes(a).SequenceEqual(MemoryMarshal.AsBytes(b)))
        {
            return true;
        }

        bool same = a.Length == b.Length;
        for (int i = 0; same && i < a.Length; i++)
        {
            same = BitConverter.SingleToInt32Bits(a[i]) == BitConverter.SingleToInt32Bits(b[i]) || (float.IsNaN(a[i]) && float.IsNaN(b[i]));
        }

        return same;
    }

    public static void AssertSameBits(ReadOnlySpan<float> expected, ReadOnlySpan<float> actual, string what)
    {
        if (!SameBits(expected, actual))
        {
            int at = 0;
            while (at < Math.Min(expected.Length, actual.Length) && SameBits(expected.Slice(at, 1), actual.Slice(at, 1)))
            {
                at++;
            }

            Assert.Fail($"{what}: element {at} of {actual.Length}: expected {expected[at]:r}, found {actual[at]:r}.");
        }
    }
}
