using System.Text;
using System.Text.Json;

namespace Vicuna.Managed.Cli;

/// <summary>Reads the files that options name.</summary>
internal static class InputFiles
{
    private const int MaxTextBytes = 1 << 30;

    /// <summary>Reads a text file, character for character.</summary>
    /// <exception cref="InvalidDataException">It is not UTF-8, or larger than 1 GB.</exception>
    /// <exception cref="IOException">It cannot be read.</exception>
    public static string ReadText(string path)
    {
        long length = new FileInfo(path).Length;
        if (length > MaxTextBytes)
        {
            throw new InvalidDataException($"{path}: expected at most {MaxTextBytes} bytes, found {length}");
        }

        try
        {
            return new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true).GetString(File.ReadAllBytes(path));
        }
        catch (DecoderFallbackException exception)
        {
            throw new InvalidDataException($"{path}: expected UTF-8 text, found other bytes at position {exception.Index}", exception);
        }
    }

    /// <summary>Reads a JSON array of arrays of token ids.</summary>
    /// <exception cref="InvalidDataException">It is something else.</exception>
    /// <exception cref="IOException">It cannot be read.</exception>
    public static IReadOnlyList<int[]> ReadIds(string path)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(path), new JsonDocumentOptions { MaxDepth = 8 });
            return [.. document.RootElement.EnumerateArray().Select(row => row.EnumerateArray().Select(id => id.GetInt32()).ToArray())];
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or FormatException)
        {
            throw new InvalidDataException($"{path}: expected a JSON array of arrays of token ids, found something else", exception);
        }
    }
}
