using System.CommandLine;
using System.Globalization;

namespace Vicuna.Managed.Cli;

/// <summary>The option that names adapters, for verbs that run the model.</summary>
internal sealed class AdapterOptions
{
    private readonly Option<string[]> _adapters = new("--adapter")
    {
        Description = "A LoRA adapter's folder, which changes the model; may be given several times, and with a weight: DIR=0.5. Default weight: 1.",
        HelpName = "DIR[=WEIGHT]",
        Arity = ArgumentArity.OneOrMore,
        AllowMultipleArgumentsPerToken = false,
    };

    /// <summary>Adds the option to a verb.</summary>
    public AdapterOptions(Command command) => command.Add(_adapters);

    /// <summary>Loads the adapters that were named; null where none was.</summary>
    /// <exception cref="WrongUsageException">A value is empty.</exception>
    public IReadOnlyList<LoraAdapter>? Load(ParseResult parsed, LanguageModel model) => parsed.GetValue(_adapters) is { Length: > 0 } given
        ? [.. given.Select(Split).Select(adapter => model.LoadAdapter(adapter.Folder, adapter.Weight))]
        : null;

    // What follows the last equals sign is a weight if it is a number; folders may have equals signs in their names.
    private static (string Folder, float Weight) Split(string value)
    {
        int sign = value.LastIndexOf('=');
        bool hasWeight = float.TryParse(value.AsSpan(sign + 1), NumberStyles.Float, CultureInfo.InvariantCulture, out float weight) && sign >= 0;
        string folder = hasWeight ? value[..sign] : value;
        return folder.Length > 0
            ? (folder, hasWeight ? weight : 1)
            : throw new WrongUsageException($"--adapter: expected DIR or DIR=WEIGHT, found '{value}'.");
    }
}
