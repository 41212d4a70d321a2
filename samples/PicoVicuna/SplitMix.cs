namespace PicoVicunaSample;

/// <summary>Random numbers that are the same on every machine and with every version of .NET: SplitMix64 (Steele, Lea and Flood 2014).</summary>
/// <param name="seed">Where the sequence begins.</param>
internal sealed class SplitMix(ulong seed)
{
    private ulong _state = seed;

    /// <summary>A number from 0 to one less than <paramref name="count"/>; the bias of the remainder is below 2^-40 for the counts here.</summary>
    public int Next(int count) => (int)(NextBits() % (ulong)count);

    /// <summary>Whether something of this probability, in percent, happens.</summary>
    public bool Percent(int probability) => Next(100) < probability;

    /// <summary>One of the items.</summary>
    public T Of<T>(IReadOnlyList<T> items) => items[Next(items.Count)];

    /// <summary>Puts the items into a random order.</summary>
    public void Shuffle<T>(IList<T> items)
    {
        for (int i = items.Count - 1; i > 0; i--)
        {
            int other = Next(i + 1);
            (items[i], items[other]) = (items[other], items[i]);
        }
    }

    private ulong NextBits()
    {
        _state = unchecked(_state + 0x9E3779B97F4A7C15);
        ulong bits = _state;
        bits = unchecked((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9);
        bits = unchecked((bits ^ (bits >> 27)) * 0x94D049BB133111EB);
        return bits ^ (bits >> 31);
    }
}
