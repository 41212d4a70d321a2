namespace Vicuna.Managed.Constraints;

/// <summary>Ranges of characters as sequences of ranges of UTF-8 bytes.</summary>
internal static class Utf8Sequences
{
    private static readonly int[] LastOfLength = [0x7F, 0x7FF, 0xFFFF, 0x10FFFF];

    /// <summary>The sequences of a set: a character is in it exactly if its bytes lie in the ranges of one of them.</summary>
    public static IEnumerable<(byte Low, byte High)[]> Of(CodePointSet set)
    {
        Stack<(int First, int Last)> open = new(set.Ranges.Reverse());
        while (open.TryPop(out (int First, int Last) range))
        {
            if (TrySplit(range, out (int First, int Last) left, out (int First, int Last) right))
            {
                open.Push(right);
                open.Push(left);
                continue;
            }

            byte[] low = Bytes(range.First);
            byte[] high = Bytes(range.Last);
            yield return [.. low.Zip(high)];
        }
    }

    // A range is one sequence if its ends are of one length and, from the first byte that differs on, cover all that can follow.
    private static bool TrySplit((int First, int Last) range, out (int First, int Last) left, out (int First, int Last) right)
    {
        foreach (int last in LastOfLength)
        {
            if (range.First <= last && last < range.Last)
            {
                (left, right) = ((range.First, last), (last + 1, range.Last));
                return true;
            }
        }

        for (int bits = 6; range.Last > 0x7F && bits <= 18; bits += 6)
        {
            int mask = (1 << bits) - 1;
            if ((range.First & ~mask) == (range.Last & ~mask))
            {
                break;
            }

            if ((range.First & mask) != 0)
            {
                (left, right) = ((range.First, range.First | mask), ((range.First | mask) + 1, range.Last));
                return true;
            }

            if ((range.Last & mask) != mask)
            {
                (left, right) = ((range.First, (range.Last & ~mask) - 1), (range.Last & ~mask, range.Last));
                return true;
            }
        }

        (left, right) = (range, range);
        return false;
    }

    private static byte[] Bytes(int value)
    {
        byte[] buffer = new byte[4];
        // The ends of a range of a set are no surrogates, but a split may lie beside them.
        int length = value <= 0x7F ? 1 : value <= 0x7FF ? 2 : value <= 0xFFFF ? 3 : 4;
        if (length == 1)
        {
            return [(byte)value];
        }

        for (int i = length - 1; i > 0; i--)
        {
            buffer[i] = (byte)(0x80 | (value & 0x3F));
            value >>= 6;
        }

        buffer[0] = (byte)(value | (length == 2 ? 0xC0 : length == 3 ? 0xE0 : 0xF0));
        return buffer[..length];
    }
}
