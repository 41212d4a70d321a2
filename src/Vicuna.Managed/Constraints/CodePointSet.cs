namespace Vicuna.Managed.Constraints;

/// <summary>A set of Unicode scalar values, as ranges in order that neither touch nor overlap. Surrogates are in no set.</summary>
internal sealed class CodePointSet
{
    private const int Last = 0x10FFFF;

    private CodePointSet(IReadOnlyList<(int First, int Last)> ranges) => Ranges = ranges;

    /// <summary>All scalar values.</summary>
    public static CodePointSet All { get; } = Of([(0, Last)]);

    /// <summary>The ranges.</summary>
    public IReadOnlyList<(int First, int Last)> Ranges { get; }

    /// <summary>Whether nothing is in it.</summary>
    public bool IsEmpty => Ranges.Count == 0;

    /// <summary>The set of some ranges, in any order.</summary>
    public static CodePointSet Of(IEnumerable<(int First, int Last)> ranges)
    {
        List<(int First, int Last)> merged = [];
        foreach ((int first, int last) in ranges.SelectMany(WithoutSurrogates).Order())
        {
            if (merged.Count > 0 && first <= merged[^1].Last + 1)
            {
                merged[^1] = (merged[^1].First, Math.Max(merged[^1].Last, last));
            }
            else
            {
                merged.Add((first, last));
            }
        }

        return new CodePointSet(merged);
    }

    /// <summary>The set of some characters of the basic plane.</summary>
    public static CodePointSet Of(string characters) => Of(characters.Select(c => ((int)c, (int)c)));

    /// <summary>Whether a value is in it.</summary>
    public bool Contains(int value) => Ranges.Any(range => range.First <= value && value <= range.Last);

    /// <summary>Everything that is not in it.</summary>
    public CodePointSet Complement()
    {
        List<(int First, int Last)> rest = [];
        int next = 0;
        foreach ((int first, int last) in Ranges)
        {
            if (first > next)
            {
                rest.Add((next, first - 1));
            }

            next = last + 1;
        }

        if (next <= Last)
        {
            rest.Add((next, Last));
        }

        return Of(rest);
    }

    /// <summary>What is in this set and not in another.</summary>
    public CodePointSet Except(CodePointSet other) => Of(Complement().Ranges.Concat(other.Ranges)).Complement();

    private static IEnumerable<(int First, int Last)> WithoutSurrogates((int First, int Last) range)
    {
        if (range.First < 0xD800)
        {
            yield return (range.First, Math.Min(range.Last, 0xD7FF));
        }

        if (range.Last > 0xDFFF)
        {
            yield return (Math.Max(range.First, 0xE000), range.Last);
        }
    }
}
