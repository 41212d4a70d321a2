namespace Vicuna.Managed.Constraints;

/// <summary>Decimal numbers between two bounds, as an expression over their digits: exact, without arithmetic.</summary>
/// <param name="Least">The lower bound; null for none.</param>
/// <param name="ExcludesLeast">Whether the bound itself is too low.</param>
/// <param name="Most">The upper bound; null for none.</param>
/// <param name="ExcludesMost">Whether the bound itself is too high.</param>
/// <param name="FractionDigits">Most digits behind the point, 0 for integers.</param>
internal sealed record NumberRange(DecimalText? Least, bool ExcludesLeast, DecimalText? Most, bool ExcludesMost, int FractionDigits)
{
    private const int MaxWholeDigits = 18;

    /// <summary>The expression, null if no number of at most 18 digits before the point lies between the bounds.</summary>
    public Pattern? ToPattern()
    {
        List<Pattern> options = [];
        DecimalText zero = new(false, string.Empty, string.Empty);
        if (Most is not { IsNegative: true })
        {
            bool fromZero = Least is null or { IsNegative: true };
            AddMagnitudes(options, fromZero ? zero : Least!, !fromZero && ExcludesLeast, Most, ExcludesMost, string.Empty);
        }

        if (Least is null or { IsNegative: true })
        {
            bool fromZero = Most is not { IsNegative: true };
            // Below 0 the bounds change places. There is no -0: the two zeros are one number.
            AddMagnitudes(options, fromZero ? zero : Most!.Magnitude, fromZero || ExcludesMost, Least?.Magnitude, ExcludesLeast, "-");
        }

        return options.Count == 0 ? null : new Pattern.Choice(options);
    }

    private void AddMagnitudes(List<Pattern> options, DecimalText least, bool excludesLeast, DecimalText? most, bool excludesMost, string sign)
    {
        if (most is { } above && above.Whole.Length > MaxWholeDigits)
        {
            most = null;
        }

        // Digits that no number of this kind has are those of the next number that can be: above the one, up to the other.
        if (least.Fraction.Length > FractionDigits)
        {
            (least, excludesLeast) = (least with { Fraction = Cut(least.Fraction) }, true);
        }

        if (most is not null && most.Fraction.Length > FractionDigits)
        {
            (most, excludesMost) = (most with { Fraction = Cut(most.Fraction) }, false);
        }

        for (int digits = 1; digits <= MaxWholeDigits; digits++)
        {
            // A zero is a number of one digit.
            int leastDigits = Math.Max(least.Whole.Length, 1);
            int mostDigits = most is null ? MaxWholeDigits + 1 : Math.Max(most.Whole.Length, 1);
            if (digits < leastDigits || digits > mostDigits)
            {
                continue;
            }

            string? low = digits == leastDigits ? Digits(least, digits) : null;
            string? high = digits == mostDigits ? Digits(most!, digits) : null;
            if (new DigitRange(digits, FractionDigits, low, excludesLeast, high, excludesMost).ToPattern() is { } pattern)
            {
                options.Add(new Pattern.Sequence([Pattern.Text(sign), pattern]));
            }
        }
    }

    private string Cut(string fraction) => fraction[..FractionDigits].TrimEnd('0');

    private string Digits(DecimalText number, int wholeDigits) => number.Whole.PadLeft(wholeDigits, '0') + number.Fraction.PadRight(FractionDigits, '0');
}
