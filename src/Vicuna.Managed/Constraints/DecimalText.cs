using System.Globalization;
using System.Numerics;

namespace Vicuna.Managed.Constraints;

/// <summary>A number of JSON, exactly: its sign and its digits on both sides of the point.</summary>
/// <param name="IsNegative">Whether it is below 0.</param>
/// <param name="Whole">Digits before the point, without leading zeros; empty for 0.</param>
/// <param name="Fraction">Digits behind it, without trailing zeros.</param>
internal sealed record DecimalText(bool IsNegative, string Whole, string Fraction)
{
    private const int MaxLength = 64;
    private const int MaxExponent = 400;

    /// <summary>Whether it is 0.</summary>
    public bool IsZero => Whole.Length == 0 && Fraction.Length == 0;

    /// <summary>The number without its sign.</summary>
    public DecimalText Magnitude => this with { IsNegative = false };

    /// <summary>Reads a number; null if it has more digits or a larger exponent than anybody needs.</summary>
    /// <param name="text">A number as JSON has it.</param>
    public static DecimalText? Read(string text)
    {
        int end = text.IndexOfAny(['e', 'E']);
        string mantissa = end < 0 ? text : text[..end];
        if (text.Length > MaxLength || !int.TryParse(end < 0 ? "0" : text[(end + 1)..], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int exponent)
            || Math.Abs(exponent) > MaxExponent)
        {
            return null;
        }

        bool isNegative = mantissa[0] == '-';
        string[] parts = mantissa.TrimStart('-').Split('.');
        string digits = parts[0] + (parts.Length > 1 ? parts[1] : string.Empty);
        int point = parts[0].Length + exponent;
        if (point < 0)
        {
            (digits, point) = (new string('0', -point) + digits, 0);
        }

        digits = digits.PadRight(point, '0');
        DecimalText number = new(isNegative, digits[..point].TrimStart('0'), digits[point..].TrimEnd('0'));
        return number.IsZero ? number.Magnitude : number;
    }

    /// <summary>The integer that it is, null if it is none.</summary>
    public BigInteger? AsInteger() => Fraction.Length > 0 ? null
        : BigInteger.Parse((IsNegative ? "-" : string.Empty) + (Whole.Length == 0 ? "0" : Whole), CultureInfo.InvariantCulture);
}
