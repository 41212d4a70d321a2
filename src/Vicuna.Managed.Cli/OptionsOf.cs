using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;

namespace Vicuna.Managed.Cli;

/// <summary>Makes options whose values are checked when the command line is parsed.</summary>
internal static class OptionsOf
{
    /// <summary>A whole number in a range, or nothing.</summary>
    public static Option<int?> Int(string name, string description, int least, int most) => new(name)
    {
        Description = description,
        HelpName = "N",
        CustomParser = result => long.TryParse(Text(result), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long value) && value >= least && value <= most
            ? (int)value
            : Wrong<int?>(result, most == int.MaxValue ? $"a whole number of at least {least}" : $"a whole number from {least} to {most}"),
    };

    /// <summary>A number in a range, or nothing.</summary>
    public static Option<double?> Number(string name, string description, double least, double most, bool leastExcluded = false) => new(name)
    {
        Description = description,
        HelpName = "X",
        CustomParser = result => double.TryParse(Text(result), NumberStyles.Float, CultureInfo.InvariantCulture, out double value)
            && value <= most && (leastExcluded ? value > least : value >= least)
            ? value
            : Wrong<double?>(result, string.Create(CultureInfo.InvariantCulture, $"a number {(leastExcluded ? "above" : "from")} {least} {(leastExcluded ? "and at most" : "to")} {most}")),
    };

    /// <summary>A 64-bit number, or nothing.</summary>
    public static Option<long?> Long(string name, string description) => new(name)
    {
        Description = description,
        HelpName = "N",
        CustomParser = result => long.TryParse(Text(result), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long value) ? value : Wrong<long?>(result, "a whole number"),
    };

    /// <summary>Token ids with commas between them; an absent option is an empty array, one that is there never is.</summary>
    public static Option<int[]> Ids(string name, string description) => Numbers(name, description, "1,2,3", "token ids");

    /// <summary>Numbers of blocks with commas between them; an absent option is an empty array.</summary>
    public static Option<int[]> Blocks(string name, string description) => Numbers(name, description, "24,25", "numbers of blocks");

    private static Option<int[]> Numbers(string name, string description, string helpName, string what) => new(name)
    {
        Description = description,
        HelpName = helpName,
        CustomParser = result =>
        {
            string[] parts = Text(result).Split(',', StringSplitOptions.TrimEntries);
            int[] ids = new int[parts.Length];
            for (int i = 0; i < parts.Length; i++)
            {
                if (!int.TryParse(parts[i], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out ids[i]))
                {
                    return Wrong<int[]>(result, $"{what} with commas between them");
                }
            }

            return ids;
        },
    };

    private static string Text(ArgumentResult result) => result.Tokens[0].Value;

    private static T? Wrong<T>(ArgumentResult result, string expected)
    {
        string name = result.Parent is OptionResult option ? option.Option.Name : "value";
        result.AddError($"{name}: expected {expected}, found '{Text(result)}'.");
        return default;
    }
}
