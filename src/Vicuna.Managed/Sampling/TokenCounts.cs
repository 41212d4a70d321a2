namespace Vicuna.Managed.Sampling;

/// <summary>How often each token occurs in a sequence, and how often it was generated: what the penalties look at.</summary>
/// <param name="vocabSize">V, number of token ids.</param>
internal sealed class TokenCounts(int vocabSize)
{
    private readonly int[] _all = new int[vocabSize];
    private readonly int[] _generated = new int[vocabSize];
    private readonly bool[] _listed = new bool[vocabSize];

    // Room for every id from the start, so that counting does not allocate.
    private readonly List<int> _seen = new(vocabSize);

    /// <summary>Tokens that occur or have occurred, each once; one that was rewound away has a count of 0.</summary>
    public IReadOnlyList<int> Seen => _seen;

    /// <summary>Occurrences in prompt and answer.</summary>
    public int All(int token) => _all[token];

    /// <summary>Occurrences in the answer.</summary>
    public int Generated(int token) => _generated[token];

    /// <summary>Counts a token.</summary>
    public void Add(int token, bool generated)
    {
        if (!_listed[token])
        {
            _listed[token] = true;
            _seen.Add(token);
        }

        _all[token]++;
        _generated[token] += generated ? 1 : 0;
    }

    /// <summary>Takes a token back.</summary>
    public void Remove(int token, bool generated)
    {
        _all[token]--;
        _generated[token] -= generated ? 1 : 0;
    }
}
