namespace Vicuna.Managed;

/// <summary>
/// A checkpoint, tokenizer or saved sequence is damaged, hostile, or of a kind that this library does not support. It is the one
/// exception type for all of these; its message is a single line that names the file, the tensor or field, what was expected and what was found.
/// </summary>
public sealed class ModelFormatException : Exception
{
    private const int MaxQuoted = 120;

    /// <summary>Creates the exception with a message of its own.</summary>
    /// <param name="message">What is wrong; made into a single line.</param>
    public ModelFormatException(string message)
        : base(Printable(message))
    {
    }

    /// <summary>Creates the exception with a message of its own and its cause.</summary>
    /// <param name="message">What is wrong; made into a single line.</param>
    /// <param name="innerException">The error that led here.</param>
    public ModelFormatException(string message, Exception? innerException)
        : base(Printable(message), innerException)
    {
    }

    /// <summary>Creates the exception for a file.</summary>
    /// <param name="file">The file's name or path.</param>
    /// <param name="problem">What is wrong, for example <c>expected 16 bytes, found 4</c>.</param>
    /// <param name="item">The tensor, field or key in the file, or null.</param>
    /// <param name="innerException">The error that led here, or null.</param>
    public ModelFormatException(string file, string problem, string? item, Exception? innerException = null)
        : base(Printable(item is null ? $"{file}: {problem}" : $"{file}: {Quote(item)}: {problem}"), innerException)
    {
        FileName = file;
        Item = item;
    }

    /// <summary>The file that is damaged or unsupported, where there is one.</summary>
    public string? FileName { get; }

    /// <summary>The tensor, field or key that the message is about, where there is one.</summary>
    public string? Item { get; }

    /// <summary>Quotes a name from a file for a message: shortened, and with control characters shown as <c>?</c>.</summary>
    internal static string Quote(string name) => $"'{Printable(name.Length > MaxQuoted ? string.Concat(name.AsSpan(0, MaxQuoted), "...") : name)}'";

    // Names in hostile files may hold line ends or terminal escapes: a message stays one printable line.
    private static string Printable(string text) =>
        text.AsSpan().ContainsAnyInRange('\0', '\x1f') || text.AsSpan().ContainsAnyInRange('\x7f', '\x9f')
            ? string.Create(text.Length, text, static (span, source) =>
            {
                for (int i = 0; i < span.Length; i++)
                {
                    span[i] = char.IsControl(source[i]) ? '?' : source[i];
                }
            })
            : text;
}
