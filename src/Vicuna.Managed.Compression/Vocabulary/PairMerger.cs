using System.Runtime.InteropServices;
using System.Text;

namespace Vicuna.Managed.Compression.Vocabulary;

/// <summary>
/// Finds the joins of two neighboring symbols that occur most often, one after the other. Words are kept as the encoder would split them by
/// the pieces found so far; only words that hold a new piece are looked at again.
/// </summary>
internal sealed class PairMerger
{
    // Stands for a character without a piece: nothing merges with it.
    private const int Gap = -1;
    private const int NoRank = int.MaxValue;

    private readonly int _maxLength;

    // A symbol is a text: how two neighbors make it is all the same, as it is to the encoder. Lists by symbol.
    private readonly Dictionary<string, int> _ids = new(StringComparer.Ordinal);
    private readonly List<string> _texts = [];
    private readonly List<int> _lengths = [];
    private readonly List<int> _ranks = [];
    private readonly List<long> _counts = [];
    private readonly List<List<int>> _places = [];
    private readonly List<long> _marks = [];

    private readonly Dictionary<(int Left, int Right), int> _joins = [];
    private readonly int[][] _words;
    private readonly long[] _frequencies;
    private readonly HashSet<int> _changed = [];
    private readonly PriorityQueue<(int Symbol, long Count), (long Count, int Length, string Text)> _queue =
        new(Comparer<(long Count, int Length, string Text)>.Create(Compare));

    private int _pieces;
    private long _mark;

    /// <summary>Splits the words into characters.</summary>
    /// <param name="words">How often each word occurs.</param>
    /// <param name="characters">Characters that are pieces.</param>
    /// <param name="maxLength">Most characters of a piece.</param>
    public PairMerger(IReadOnlyDictionary<string, long> words, IEnumerable<string> characters, int maxLength)
    {
        _maxLength = maxLength;
        foreach (string character in characters)
        {
            SymbolOf(character, 1);
        }

        _words = new int[words.Count][];
        _frequencies = new long[words.Count];
        int at = 0;
        foreach ((string word, long count) in words)
        {
            _words[at] = [.. word.EnumerateRunes().Select(rune => _ids.GetValueOrDefault(rune.ToString(), Gap))];
            _frequencies[at] = count;
            _mark++;
            AddPairs(at++);
        }

        Propose();
    }

    /// <summary>Makes the most frequent join a piece.</summary>
    /// <returns>Its text; null where there is nothing left to join.</returns>
    public string? Next()
    {
        while (_queue.TryDequeue(out (int Symbol, long Count) best, out _))
        {
            // What has changed since was proposed again.
            if (_ranks[best.Symbol] == NoRank && _counts[best.Symbol] == best.Count)
            {
                _ranks[best.Symbol] = _pieces++;
                Merge(best.Symbol);
                return _texts[best.Symbol];
            }
        }

        return null;
    }

    private void Merge(int piece)
    {
        foreach (int word in _places[piece])
        {
            _mark++;
            RemovePairs(word);
            _words[word] = Merge(_words[word], piece);
            AddPairs(word);
        }

        _places[piece] = [];
        Propose();
    }

    // What the encoder does with one more piece of the lowest priority: joins it from left to right, and at once what it makes with its neighbors.
    private int[] Merge(int[] word, int piece)
    {
        List<int> merged = new(word.Length);
        for (int i = 0; i < word.Length; i++)
        {
            if (merged.Count == 0 || Join(merged[^1], word[i]) != piece)
            {
                merged.Add(word[i]);
                continue;
            }

            merged[^1] = piece;
            while (true)
            {
                int before = merged.Count > 1 ? Join(merged[^2], merged[^1]) : Gap;
                int after = i + 1 < word.Length ? Join(merged[^1], word[i + 1]) : Gap;
                if (RankOf(before) == NoRank && RankOf(after) == NoRank)
                {
                    break;
                }

                if (RankOf(before) <= RankOf(after))
                {
                    merged.RemoveAt(merged.Count - 1);
                    merged[^1] = before;
                }
                else
                {
                    merged[^1] = after;
                    i++;
                }
            }
        }

        return [.. merged];
    }

    private void RemovePairs(int word)
    {
        int[] symbols = _words[word];
        for (int i = 0; i + 1 < symbols.Length; i++)
        {
            if (Join(symbols[i], symbols[i + 1]) is var join and not Gap)
            {
                _counts[join] -= _frequencies[word];
                _marks[join] = _mark;
                _changed.Add(join);
            }
        }
    }

    // A join that the word had before is marked: the word is among its places already.
    private void AddPairs(int word)
    {
        int[] symbols = _words[word];
        for (int i = 0; i + 1 < symbols.Length; i++)
        {
            if (Join(symbols[i], symbols[i + 1]) is var join and not Gap)
            {
                _counts[join] += _frequencies[word];
                _changed.Add(join);
                if (_marks[join] != _mark)
                {
                    _marks[join] = _mark;
                    _places[join].Add(word);
                }
            }
        }
    }

    private void Propose()
    {
        foreach (int symbol in _changed)
        {
            if (_counts[symbol] > 0 && _ranks[symbol] == NoRank)
            {
                _queue.Enqueue((symbol, _counts[symbol]), (_counts[symbol], _lengths[symbol], _texts[symbol]));
            }
        }

        _changed.Clear();
    }

    // The most frequent join first, of those the one of fewer characters, then by code units.
    private static int Compare((long Count, int Length, string Text) a, (long Count, int Length, string Text) b) =>
        a.Count != b.Count ? b.Count.CompareTo(a.Count) : a.Length != b.Length ? a.Length.CompareTo(b.Length) : string.CompareOrdinal(a.Text, b.Text);

    private int RankOf(int symbol) => symbol == Gap ? NoRank : _ranks[symbol];

    private int Join(int left, int right)
    {
        if (left == Gap || right == Gap)
        {
            return Gap;
        }

        ref int join = ref CollectionsMarshal.GetValueRefOrAddDefault(_joins, (left, right), out bool exists);
        if (!exists)
        {
            int length = _lengths[left] + _lengths[right];
            join = length > _maxLength ? Gap : SymbolOf(_texts[left] + _texts[right], length);
        }

        return join;
    }

    private int SymbolOf(string text, int length)
    {
        if (!_ids.TryGetValue(text, out int id))
        {
            id = _texts.Count;
            _ids.Add(text, id);
            _texts.Add(text);
            _lengths.Add(length);
            _ranks.Add(NoRank);
            _counts.Add(0);
            _places.Add([]);
            _marks.Add(0);
        }

        return id;
    }
}
