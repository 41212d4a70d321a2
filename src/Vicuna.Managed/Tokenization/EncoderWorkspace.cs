namespace Vicuna.Managed.Tokenization;

/// <summary>
/// The memory that encoding one text takes: the normalized text, the symbols that merging joins, the queue of possible merges and the result.
/// One is kept per thread, so that encoding allocates nothing once it is warm.
/// </summary>
internal sealed class EncoderWorkspace
{
    // Above this many characters the memory is given back: up to 5 MB a thread stay, not what the one book took.
    private const int MaxKept = 1 << 16;

    [ThreadStatic]
    private static EncoderWorkspace? _kept;

    private char[] _text = [];
    private Symbol[] _symbols = [];
    private Merge[] _merges = [];
    private Token[] _tokens = [];
    private int _textLength;
    private int _mergeCount;
    private int _tokenCount;

    /// <summary>The normalized text.</summary>
    public Span<char> Text => _text.AsSpan(0, _textLength);

    /// <summary>The result.</summary>
    public ReadOnlySpan<Token> Tokens => _tokens.AsSpan(0, _tokenCount);

    /// <summary>Length of the left part of every unused piece that merging has proposed, by the piece's id: where it is split again.</summary>
    public Dictionary<int, int> Splits { get; } = [];

    /// <summary>Parts of unused pieces that are still to be split.</summary>
    public Stack<Token> Parts { get; } = [];

    /// <summary>Takes the calling thread's workspace, or a new one where that is in use further up the stack.</summary>
    public static EncoderWorkspace Rent()
    {
        EncoderWorkspace work = _kept ?? new EncoderWorkspace();
        _kept = null;
        work._mergeCount = 0;
        work._tokenCount = 0;
        return work;
    }

    /// <summary>Keeps the workspace for the thread's next text.</summary>
    public void Return()
    {
        // All other arrays are as long as the text has asked for; twice as many merges as symbols can wait at once.
        if (_text.Length <= MaxKept)
        {
            _kept = this;
        }
    }

    /// <summary>Makes room for a text of at most <paramref name="length"/> characters, and returns the room.</summary>
    public Span<char> ResizeText(int length)
    {
        if (_text.Length < length)
        {
            _text = new char[RoundUp(length)];
        }

        _textLength = length;
        return Text;
    }

    /// <summary>Cuts the text to the part of <paramref name="length"/> characters in use.</summary>
    public void TrimText(int length) => _textLength = length;

    /// <summary>Room for as many symbols as the text has characters.</summary>
    public Span<Symbol> Symbols()
    {
        if (_symbols.Length < _textLength)
        {
            _symbols = new Symbol[RoundUp(_textLength)];
        }

        return _symbols;
    }

    /// <summary>Adds a token to the result.</summary>
    public void Add(int id, int start, int end)
    {
        if (_tokenCount == _tokens.Length)
        {
            Array.Resize(ref _tokens, RoundUp(_tokenCount + 1));
        }

        _tokens[_tokenCount++] = new Token(id, start, end);
    }

    /// <summary>Adds an unknown piece to the result; a run of them is one.</summary>
    public void AddUnknown(int id, int start, int end)
    {
        if (_tokenCount > 0 && _tokens[_tokenCount - 1].Id == id)
        {
            _tokens[_tokenCount - 1] = _tokens[_tokenCount - 1] with { End = end };
            return;
        }

        Add(id, start, end);
    }

    /// <summary>Adds a possible merge to the queue.</summary>
    public void Push(Merge merge)
    {
        if (_mergeCount == _merges.Length)
        {
            Array.Resize(ref _merges, RoundUp(_mergeCount + 1));
        }

        int at = _mergeCount++;
        while (at > 0)
        {
            int parent = (at - 1) / 2;
            if (_merges[parent].Order <= merge.Order)
            {
                break;
            }

            _merges[at] = _merges[parent];
            at = parent;
        }

        _merges[at] = merge;
    }

    /// <summary>Takes the merge of the lowest order from the queue.</summary>
    public bool TryPop(out Merge first)
    {
        if (_mergeCount == 0)
        {
            first = default;
            return false;
        }

        Merge[] merges = _merges;
        first = merges[0];
        Merge last = merges[--_mergeCount];
        int at = 0;
        for (int child = 1; child < _mergeCount; child = (2 * at) + 1)
        {
            if (child + 1 < _mergeCount && merges[child + 1].Order < merges[child].Order)
            {
                child++;
            }

            if (last.Order <= merges[child].Order)
            {
                break;
            }

            merges[at] = merges[child];
            at = child;
        }

        merges[at] = last;
        return true;
    }

    private static int RoundUp(int length) => (int)Math.Min(Array.MaxLength, Math.Max(256, System.Numerics.BitOperations.RoundUpToPowerOf2((uint)length)));

    /// <summary>A part of the text that merging has not joined further; symbols form a list in the order of the text.</summary>
    public struct Symbol
    {
        /// <summary>Index of its first character.</summary>
        public int Start;

        /// <summary>Its number of characters; 0 once it has been joined to another on its left.</summary>
        public int Length;

        /// <summary>Symbol on its left, or −1.</summary>
        public int Previous;

        /// <summary>Symbol on its right, or −1.</summary>
        public int Next;

        /// <summary>Id of its piece, or −1 for a character that is none.</summary>
        public int Id;
    }

    /// <summary>A possible merge of a symbol with its neighbor on the right.</summary>
    /// <param name="Order">Rank of the piece in the upper half, index of the left symbol in the lower: the best score first, then the leftmost.</param>
    /// <param name="Length">Characters of the piece; when the symbols have other lengths by now, the proposal is out of date.</param>
    /// <param name="Id">Id of the piece.</param>
    public readonly record struct Merge(ulong Order, int Length, int Id)
    {
        /// <summary>The left symbol.</summary>
        public int Left => (int)(uint)Order;
    }
}
