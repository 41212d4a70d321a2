namespace Vicuna.Managed.Constraints;

/// <summary>Numbers with a given number of digits before the point, between bounds of the same digits.</summary>
/// <param name="whole">Digits before the point, at least one; the first is no zero unless it is the only one.</param>
/// <param name="fraction">Most digits behind it.</param>
/// <param name="low">Digits of the lower bound, before the point and behind it; null for none.</param>
/// <param name="excludesLow">Whether the bound itself is too low.</param>
/// <param name="high">Digits of the upper bound; null for none.</param>
/// <param name="excludesHigh">Whether the bound itself is too high.</param>
internal sealed class DigitRange(int whole, int fraction, string? low, bool excludesLow, string? high, bool excludesHigh)
{
    /// <summary>The expression, null if there is no such number.</summary>
    public Pattern? ToPattern() => From(0, low is not null, high is not null);

    // What may come from a place on, while the digits so far are those of a bound or of both. The depth is that of the digits, some tens.
    private Pattern? From(int at, bool isLow, bool isHigh)
    {
        List<Pattern> options = [];
        if (at >= whole && MayEnd(at, isLow, isHigh))
        {
            options.Add(Pattern.Empty);
        }

        if (at < whole + fraction)
        {
            if (!isLow && !isHigh && at > 0)
            {
                return Free(at, options.Count > 0);
            }

            int first = Math.Max(isLow ? low![at] - '0' : 0, at == 0 && whole > 1 ? 1 : 0);
            int last = isHigh ? high![at] - '0' : 9;
            for (int digit = first; digit <= last; digit++)
            {
                bool staysLow = isLow && digit == low![at] - '0';
                bool staysHigh = isHigh && digit == high![at] - '0';
                int until = digit;
                while (!staysLow && !staysHigh && until < last && !(isHigh && until + 1 == high![at] - '0'))
                {
                    until++;
                }

                if (From(at + 1, staysLow, staysHigh) is { } rest)
                {
                    options.Add(new Pattern.Sequence([Point(at), Range(digit, until), rest]));
                }

                digit = until;
            }
        }

        return options.Count == 0 ? null : new Pattern.Choice(options);
    }

    // The digits of a number that ends here are followed by zeros in thought.
    private bool MayEnd(int at, bool isLow, bool isHigh)
    {
        bool lowRestIsZero = !isLow || low.AsSpan(at).TrimStart('0').IsEmpty;
        bool highRestIsZero = isHigh && high.AsSpan(at).TrimStart('0').IsEmpty;
        return (!isLow || (lowRestIsZero && !excludesLow)) && (!highRestIsZero || !excludesHigh);
    }

    private Pattern Free(int at, bool mayEnd)
    {
        if (at < whole)
        {
            Pattern tail = fraction == 0 ? Pattern.Empty
                : Pattern.Optional(new Pattern.Sequence([Pattern.Text("."), new Pattern.Repeat(JsonText.Digit, 1, fraction)]));
            return new Pattern.Sequence([new Pattern.Repeat(JsonText.Digit, whole - at, whole - at), tail]);
        }

        Pattern digits = new Pattern.Sequence([Point(at), new Pattern.Repeat(JsonText.Digit, 1, whole + fraction - at)]);
        return mayEnd ? Pattern.Optional(digits) : digits;
    }

    private Pattern Point(int at) => at == whole ? Pattern.Text(".") : Pattern.Empty;

    private static Pattern.Characters Range(int first, int last) => new(CodePointSet.Of([('0' + first, '0' + last)]));
}
