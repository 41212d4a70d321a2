using System.Text;

namespace Vicuna.Managed.Generation;

/// <summary>
/// Finds stop strings in a stream of text, across the borders of its pieces. Text that might turn out to be the beginning of a stop string is
/// held back, so that no part of one is ever passed on. The string that is complete first ends the text, the longest of several: what is
/// found and passed on does not depend on how the text was cut into pieces.
/// </summary>
/// <param name="stopStrings">The strings, none of them empty.</param>
internal sealed class StopMatcher(IReadOnlyList<string> stopStrings)
{
    private readonly StringBuilder _pending = new();
    private readonly int _longest = stopStrings.Count == 0 ? 0 : stopStrings.Max(stop => stop.Length);

    /// <summary>The stop string that was found, or null.</summary>
    public string? Found { get; private set; }

    /// <summary>Takes in text and returns what can be passed on. After a stop string nothing more is passed on.</summary>
    public string Push(ReadOnlySpan<char> text)
    {
        if (Found is not null)
        {
            return string.Empty;
        }

        if (_longest == 0)
        {
            return text.ToString();
        }

        _pending.Append(text);
        string pending = _pending.ToString();
        (int start, Found) = FindFirst(pending);
        int pass = Found is null ? pending.Length - HeldBack(pending) : start;
        _pending.Remove(0, pass);
        return pending[..pass];
    }

    /// <summary>The text still held back, at the end of the stream: no stop string came of it.</summary>
    public string Flush()
    {
        string rest = Found is null ? _pending.ToString() : string.Empty;
        _pending.Clear();
        return rest;
    }

    private (int Start, string? Stop) FindFirst(string text)
    {
        (int start, int end, string? found) = (text.Length, int.MaxValue, null);
        foreach (string stop in stopStrings)
        {
            int index = text.IndexOf(stop, StringComparison.Ordinal);
            if (index >= 0 && (index + stop.Length, index).CompareTo((end, start)) < 0)
            {
                (start, end, found) = (index, index + stop.Length, stop);
            }
        }

        return (start, found);
    }

    // Length of the longest end of the text that begins a stop string.
    private int HeldBack(string text)
    {
        for (int length = Math.Min(_longest - 1, text.Length); length > 0; length--)
        {
            ReadOnlySpan<char> end = text.AsSpan(text.Length - length);
            foreach (string stop in stopStrings)
            {
                if (stop.Length > length && stop.AsSpan().StartsWith(end, StringComparison.Ordinal))
                {
                    return length;
                }
            }
        }

        return 0;
    }
}
