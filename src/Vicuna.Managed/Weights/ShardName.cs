using System.Buffers;
using System.Text;

namespace Vicuna.Managed.Weights;

/// <summary>
/// Which names an index may give to its shards: plain file names that lie in the index's own folder on every operating system. An index is
/// downloaded text; joined unchecked to a folder it could name any file of the machine (huggingface/transformers issues 46097 and 47176).
/// </summary>
/// <remarks>
/// The rule looks at the text alone. <see cref="Path.GetFileName(string)"/> is no such check, because on Linux it lets <c>C:\x</c> and
/// <c>..\x</c> pass; and where a link leads is not asked, because the hub's caches store shards as links out of the folder
/// (<see cref="TensorSetOptions.AllowSymlinks"/> is for that).
/// </remarks>
internal static class ShardName
{
    // What common file systems take for one name, in bytes of UTF-8.
    private const int MaxBytes = 255;

    private static readonly SearchValues<char> Separators = SearchValues.Create("/\\:*?\"<>|");

    // Devices that Windows finds in every folder and with every suffix.
    private static readonly string[] Devices = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$"];

    /// <summary>What is wrong with a name, as <c>expected ..., found ...</c>, or null for a good one.</summary>
    /// <param name="name">The name from the index.</param>
    /// <param name="requiredSuffix">What it must end with, for example <c>.safetensors</c>; upper and lower case count.</param>
    public static string? Problem(string name, string requiredSuffix)
    {
        string? reason = name.Length == 0 ? "it is empty"
            : name.Length > MaxBytes || Encoding.UTF8.GetByteCount(name) > MaxBytes ? $"it is longer than {MaxBytes} bytes"
            : name.AsSpan().ContainsAny(Separators) ? "it holds a separator or wildcard"
            : name.Any(char.IsControl) ? "it holds a control character"
            : name[0] is ' ' or '.' || name[^1] is ' ' or '.' ? "it begins or ends with a space or dot"
            : !name.EndsWith(requiredSuffix, StringComparison.Ordinal) ? $"it does not end with {requiredSuffix}"
            : IsDevice(name) ? "it is the name of a device"
            : null;
        return reason is null ? null : $"expected the name of a *{requiredSuffix} file in the same folder, found {ModelFormatException.Quote(name)}: {reason}";
    }

    private static bool IsDevice(string name)
    {
        string stem = name.AsSpan(0, name.IndexOf('.') is >= 0 and int dot ? dot : name.Length).TrimEnd(' ').ToString();
        return Devices.Contains(stem, StringComparer.OrdinalIgnoreCase)
            || (stem.Length == 4
                && (stem.StartsWith("COM", StringComparison.OrdinalIgnoreCase) || stem.StartsWith("LPT", StringComparison.OrdinalIgnoreCase))
                && (char.IsAsciiDigit(stem[3]) || stem[3] is '\u00b9' or '\u00b2' or '\u00b3'));
    }
}
