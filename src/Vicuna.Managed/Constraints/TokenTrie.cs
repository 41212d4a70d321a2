using Vicuna.Managed.Tokenization;

namespace Vicuna.Managed.Constraints;

/// <summary>
/// The pieces of a vocabulary by their bytes, as a tree in the order of a walk through it: a node's descendants follow it. Pieces without text are not in
/// it, nor are control, unknown and unused ones. Immutable.
/// </summary>
internal sealed class TokenTrie
{
    private readonly byte[] _bytes;
    private readonly int[] _depths;
    private readonly int[] _ends;
    private readonly int[] _firstToken;
    private readonly int[] _tokens;

    /// <summary>Makes the tree.</summary>
    /// <param name="tokenizer">Has the vocabulary.</param>
    /// <param name="isAtStart">Whether the tree is for the first token of an answer that loses its leading space.</param>
    public TokenTrie(SentencePieceTokenizer tokenizer, bool isAtStart)
    {
        VocabularySize = tokenizer.VocabularySize;
        List<(byte[] Bytes, int Id)> pieces = [];
        List<int> empty = [];
        for (int id = 0; id < VocabularySize; id++)
        {
            if (tokenizer.TypeOf(id) is not (PieceType.Normal or PieceType.UserDefined or PieceType.Byte))
            {
                continue;
            }

            byte[] bytes = TextOf(tokenizer, id, isAtStart).ToArray();
            if (bytes.Length > 0)
            {
                pieces.Add((bytes, id));
            }
            else if (isAtStart && !tokenizer.RemoveExtraWhitespaces && tokenizer.TextBytes(id).Length > 0)
            {
                empty.Add(id);
            }
        }

        pieces.Sort((a, b) => a.Bytes.AsSpan().SequenceCompareTo(b.Bytes) is not 0 and int order ? order : a.Id.CompareTo(b.Id));
        EmptyTokens = empty;
        HasAllBytes = pieces.Where(piece => piece.Bytes.Length == 1).Select(piece => piece.Bytes[0]).Distinct().Count() == 256;
        MaxBytes = pieces.Count == 0 ? 0 : pieces.Max(piece => piece.Bytes.Length);
        _tokens = [.. pieces.Select(piece => piece.Id)];

        List<byte> nodeBytes = [];
        List<int> depths = [];
        List<int> ends = [];
        List<int> firstToken = [];
        Stack<int> path = new();
        byte[] last = [];
        for (int i = 0; i < pieces.Count; i++)
        {
            byte[] bytes = pieces[i].Bytes;
            int common = bytes.AsSpan().CommonPrefixLength(last);
            while (path.Count > common)
            {
                ends[path.Pop()] = nodeBytes.Count;
            }

            for (int depth = common; depth < bytes.Length; depth++)
            {
                path.Push(nodeBytes.Count);
                nodeBytes.Add(bytes[depth]);
                depths.Add(depth);
                ends.Add(0);
                // Of the new nodes only the last is the piece itself; the others end where they begin.
                firstToken.Add(i);
            }

            last = bytes;
        }

        while (path.TryPop(out int node))
        {
            ends[node] = nodeBytes.Count;
        }

        // A piece is its last node's, and nodes are in the order of pieces: a node's own are those from its number to the next node's.
        firstToken.Add(pieces.Count);
        (_bytes, _depths, _ends, _firstToken) = ([.. nodeBytes], [.. depths], [.. ends], [.. firstToken]);
    }

    /// <summary>Number of pieces in the vocabulary, in the tree or not.</summary>
    public int VocabularySize { get; }

    /// <summary>Length of the longest piece.</summary>
    public int MaxBytes { get; }

    /// <summary>Whether every byte can be written by itself.</summary>
    public bool HasAllBytes { get; }

    /// <summary>Tokens that are nothing at this place, but more than nothing elsewhere.</summary>
    public IReadOnlyList<int> EmptyTokens { get; }

    /// <summary>Number of nodes.</summary>
    public int Count => _bytes.Length;

    /// <summary>Each node's byte <c>[Count]</c>.</summary>
    public ReadOnlySpan<byte> Bytes => _bytes;

    /// <summary>Each node's distance from the root's children <c>[Count]</c>.</summary>
    public ReadOnlySpan<int> Depths => _depths;

    /// <summary>For each node the first node that is not below it <c>[Count]</c>.</summary>
    public ReadOnlySpan<int> Ends => _ends;

    /// <summary>The tokens that a node's bytes are.</summary>
    public ReadOnlySpan<int> TokensOf(int node) => _tokens.AsSpan(_firstToken[node].._firstToken[node + 1]);

    /// <summary>What a token adds to the text.</summary>
    /// <param name="tokenizer">Has the vocabulary.</param>
    /// <param name="id">The token.</param>
    /// <param name="isAtStart">Whether it is the first of an answer that loses its leading space.</param>
    public static ReadOnlySpan<byte> TextOf(SentencePieceTokenizer tokenizer, int id, bool isAtStart)
    {
        ReadOnlySpan<byte> bytes = tokenizer.TextBytes(id);
        bool strips = isAtStart && bytes.Length > 0 && bytes[0] == (byte)' ' && tokenizer.TypeOf(id) != PieceType.Byte && tokenizer.PieceText(id)[0] == '\u2581';
        return strips ? bytes[1..] : bytes;
    }
}
