using System.Text;

namespace Vicuna.Managed.Tests.Fuzz;

/// <summary>Compiles regular expressions.</summary>
internal static class RegexTarget
{
    public static string Name => "regex";

    public static IReadOnlyList<byte[]> Seeds() =>
    [
        .. new[]
        {
            "^[a-z]+(?:-[0-9]{2,4})*$", "(a|b)*a(a|b){12}", "\\d{3}-\\w+\\s?.*|\\u00e9\\x41[^\\]\\-]", "(?<name>x{0,100}){9}", "[\\u{}]{", "((((a?)?)+)*)+", "",
        }.Select(Encoding.UTF8.GetBytes),
    ];

    public static void Run(byte[] input)
    {
        try
        {
            OutputConstraint.Regex(Encoding.UTF8.GetString(input));
        }
        catch (ArgumentException exception) when (exception.GetType() == typeof(ArgumentException))
        {
            // The refusal of a caller's argument is here what a damaged file's is to the other targets.
            throw new ModelFormatException(exception.Message);
        }
    }
}
