using System.Buffers;

namespace Vicuna.Managed.Tokenization;

/// <summary>Finds the longest user-defined piece at a position of a text.</summary>
internal sealed class UserDefinedPieces
{
    private readonly string[] _sorted;
    private readonly SearchValues<char> _first;

    private UserDefinedPieces(string[] sorted)
    {
        _sorted = sorted;
        _first = SearchValues.Create([.. sorted.Select(piece => piece[0]).Distinct()]);
    }

    /// <summary>The user-defined pieces of a model, or null where it has none.</summary>
    public static UserDefinedPieces? Of(SentencePieceModel model)
    {
        List<string> pieces = [];
        for (int id = 0; id < model.Count; id++)
        {
            if (model.Types[id] == PieceType.UserDefined)
            {
                pieces.Add(model.Pieces[id]);
            }
        }

        pieces.Sort(string.CompareOrdinal);
        return pieces.Count == 0 ? null : new UserDefinedPieces([.. pieces]);
    }

    /// <summary>Length in characters of the longest piece that <paramref name="text"/> starts with, or 0.</summary>
    public int LongestPrefix(ReadOnlySpan<char> text)
    {
        if (text.IsEmpty || !_first.Contains(text[0]))
        {
            return 0;
        }

        // Pieces [low, high) share their first `depth` characters with the text. A piece sorts before those that it is a prefix of.
        int longest = 0;
        int low = 0;
        int high = _sorted.Length;
        for (int depth = 0; ; depth++)
        {
            if (_sorted[low].Length == depth)
            {
                longest = depth;
                low++;
            }

            if (low == high || depth == text.Length)
            {
                return longest;
            }

            low = FirstAbove(low, high, depth, text[depth] - 1);
            high = FirstAbove(low, high, depth, text[depth]);
            if (low == high)
            {
                return longest;
            }
        }
    }

    private int FirstAbove(int low, int high, int depth, int character)
    {
        while (low < high)
        {
            int middle = low + ((high - low) / 2);
            if (_sorted[middle][depth] <= character)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        return low;
    }
}
