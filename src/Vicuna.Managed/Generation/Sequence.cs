using System.Runtime.InteropServices;
using Vicuna.Managed.Models;
using Vicuna.Managed.Sampling;

namespace Vicuna.Managed.Generation;

/// <summary>
/// A sequence of tokens with the model's memory of it, and how it meets the model: alone, or with others in the passes of a
/// <see cref="SequenceBatch"/>. What is not said to be guarded is for whoever has entered <see cref="Guard"/>.
/// </summary>
internal sealed class Sequence
{
    // Room for ordinary sequences from the start, so that decoding does not allocate.
    private const int PresizedTokens = 8192;

    private readonly Decoder _decoder;
    private readonly List<int> _tokens;
    private readonly List<bool> _generated;
    private readonly float[] _logits;
    private readonly SequenceSlice[] _slice = new SequenceSlice[1];
    private readonly int[] _rows = new int[DecoderState.LogitsRows];

    /// <summary>Makes an empty sequence.</summary>
    /// <param name="decoder">The model.</param>
    /// <param name="contextLength">Most tokens.</param>
    /// <param name="owner">Who is named when a call is refused.</param>
    public Sequence(Decoder decoder, int contextLength, object owner)
    {
        _decoder = decoder;
        ContextLength = contextLength;
        _tokens = new List<int>(Math.Min(contextLength, PresizedTokens));
        _generated = new List<bool>(_tokens.Capacity);
        _logits = new float[decoder.Config.VocabSize];
        Counts = new TokenCounts(decoder.Config.VocabSize);
        Cache = new KvCache(decoder.CacheShape, contextLength);
        Guard = new UseGuard(owner, () => Cache.Dispose());
    }

    /// <summary>Most tokens.</summary>
    public int ContextLength { get; }

    /// <summary>One call at a time; closing it frees the sequence.</summary>
    public UseGuard Guard { get; }

    /// <summary>The tokens.</summary>
    public IReadOnlyList<int> Tokens => _tokens;

    /// <summary>For each token whether the model chose it.</summary>
    public IReadOnlyList<bool> Generated => _generated;

    /// <summary>How often each token occurs.</summary>
    public TokenCounts Counts { get; }

    /// <summary>Keys and values of the tokens that the model has seen.</summary>
    public KvCache Cache { get; private set; }

    /// <summary>Whether the logits for the next token are known.</summary>
    public bool HasLogits { get; private set; }

    /// <summary>
    /// Receives the last block's normalized output of every token in the place of the logits, which are not computed then; null for logits. For sequences
    /// that are run from their first token to their last, once.
    /// </summary>
    public HiddenMean? Pool { get; init; }

    /// <summary>Whether the passes have brought all that is wanted of the tokens.</summary>
    public bool IsReady => Pool is null ? HasLogits : Cache.Length == _tokens.Count;

    /// <summary>The logits for the next token, f32 <c>[V]</c>, if they are known.</summary>
    public ReadOnlySpan<float> Logits => _logits;

    /// <summary>Adapters of the tokens that are run from now on; null for none.</summary>
    public AdapterStack? Adapters { get; set; }

    /// <summary>Sees activations during passes alone; may be null.</summary>
    public IActivationTap? Tap { get; set; }

    /// <summary>Adds a token without running it: whoever wants to know what follows does that.</summary>
    /// <param name="token">A valid id, with room for it in the context.</param>
    /// <param name="generated">Whether the model chose it.</param>
    public void Add(int token, bool generated)
    {
        _tokens.Add(token);
        _generated.Add(generated);
        Counts.Add(token, generated);
        HasLogits = false;
    }

    /// <summary>Adds a prompt without running it. Guarded.</summary>
    /// <param name="tokens">Token ids, at least one.</param>
    /// <exception cref="ArgumentException">No tokens, or an id outside the vocabulary.</exception>
    /// <exception cref="ContextLengthExceededException">The context does not hold them.</exception>
    public void AppendPending(ReadOnlySpan<int> tokens)
    {
        Check(tokens);
        Guard.Enter();
        try
        {
            AddPrompt(tokens);
        }
        finally
        {
            Guard.Exit();
        }
    }

    /// <summary>Adds a prompt and runs it. If that fails or is cancelled, the sequence is as before. Guarded.</summary>
    /// <param name="tokens">Token ids, at least one.</param>
    /// <param name="observer">Sees the logits after each of them; may be null.</param>
    /// <param name="cancellationToken">Checked before each piece of each matrix product.</param>
    /// <exception cref="ArgumentException">No tokens, or an id outside the vocabulary.</exception>
    /// <exception cref="ContextLengthExceededException">The context does not hold them.</exception>
    public void Append(ReadOnlySpan<int> tokens, LogitsObserver? observer, CancellationToken cancellationToken)
    {
        Check(tokens);
        Guard.Enter();
        try
        {
            int before = _tokens.Count;
            int cached = Cache.Length;
            AddPrompt(tokens);
            try
            {
                Evaluate(before, observer, cancellationToken);
            }
            catch
            {
                Cut(before, cached);
                throw;
            }
        }
        finally
        {
            Guard.Exit();
        }
    }

    /// <summary>Forgets tokens from number <paramref name="tokens"/> on, and what the model has seen from <paramref name="cached"/> on.</summary>
    public void Cut(int tokens, int cached)
    {
        for (int i = _tokens.Count - 1; i >= tokens; i--)
        {
            Counts.Remove(_tokens[i], _generated[i]);
        }

        _tokens.RemoveRange(tokens, _tokens.Count - tokens);
        _generated.RemoveRange(tokens, _generated.Count - tokens);
        Cache.Truncate(Math.Min(cached, Cache.Length));
        HasLogits = false;
    }

    /// <summary>Counts all tokens as prompt.</summary>
    public void MakePrompt()
    {
        for (int i = 0; i < _tokens.Count; i++)
        {
            if (_generated[i])
            {
                Counts.Remove(_tokens[i], generated: true);
                Counts.Add(_tokens[i], generated: false);
                _generated[i] = false;
            }
        }
    }

    /// <summary>Replaces everything by a saved sequence.</summary>
    /// <param name="saved">The tokens.</param>
    /// <param name="cache">What the model has seen of them; this sequence owns it from now on.</param>
    public void Replace(SavedSequence saved, KvCache cache)
    {
        Cut(0, 0);
        Cache.Dispose();
        Cache = cache;
        for (int i = 0; i < saved.Tokens.Count; i++)
        {
            Add(saved.Tokens[i], saved.Generated[i]);
        }
    }

    /// <summary>Makes this empty sequence the same as another, sharing its memory.</summary>
    /// <param name="other">A sequence of the same model, which the caller has entered.</param>
    public void ShareFrom(Sequence other)
    {
        for (int i = 0; i < other._tokens.Count; i++)
        {
            Add(other._tokens[i], other._generated[i]);
        }

        Adapters = other.Adapters;
        Cache.ShareFrom(other.Cache, other.Cache.Length);
        other._logits.CopyTo(_logits, 0);
        HasLogits = other.HasLogits;
    }

    /// <summary>Finds how many tokens the model has yet to see before the logits for the next one are known; 0 = they are.</summary>
    /// <exception cref="InvalidOperationException">The sequence is empty.</exception>
    public int FindMissing()
    {
        if (_tokens.Count == 0)
        {
            throw new InvalidOperationException("The sequence is empty: append a prompt first.");
        }

        if (IsReady)
        {
            return 0;
        }

        // After a rewind or a restore the last token is in the cache, but its logits are not kept: it is run once more.
        Cache.Truncate(Math.Min(Cache.Length, _tokens.Count - 1));
        return _tokens.Count - Cache.Length;
    }

    /// <summary>The first of the tokens that the model has yet to see.</summary>
    /// <param name="count">How many.</param>
    public ReadOnlySpan<int> MissingTokens(int count) => CollectionsMarshal.AsSpan(_tokens).Slice(Cache.Length, count);

    /// <summary>Takes the logits for the next token, when all tokens have been run.</summary>
    /// <param name="logits">f32 <c>[V]</c>.</param>
    public void AcceptLogits(ReadOnlySpan<float> logits)
    {
        logits.CopyTo(_logits);
        HasLogits = true;
    }

    /// <summary>Takes the last block's output of tokens of the pass that has just run.</summary>
    /// <param name="state">The pass's buffers.</param>
    /// <param name="first">Number of the first token in the pass.</param>
    /// <param name="count">How many tokens.</param>
    public void TakeHidden(DecoderState state, int first, int count)
    {
        for (int i = 0; i < count; i++)
        {
            Pool!.Add(_decoder.FinalNorm(state, first + i));
        }
    }

    /// <summary>Runs what the model has yet to see.</summary>
    /// <param name="cancellationToken">Checked before each piece of each matrix product.</param>
    /// <exception cref="InvalidOperationException">The sequence is empty.</exception>
    public void EnsureLogits(CancellationToken cancellationToken)
    {
        if (FindMissing() > 0)
        {
            Evaluate(_tokens.Count, null, cancellationToken);
        }
    }

    private void Check(ReadOnlySpan<int> tokens)
    {
        if (tokens.IsEmpty)
        {
            throw new ArgumentException("Expected at least one token, found none.", nameof(tokens));
        }

        foreach (int token in tokens)
        {
            OptionsResolver.CheckToken(token, _decoder.Config.VocabSize, nameof(tokens));
        }
    }

    private void AddPrompt(ReadOnlySpan<int> tokens)
    {
        if (tokens.Length > ContextLength - _tokens.Count)
        {
            throw new ContextLengthExceededException(_tokens.Count + tokens.Length, ContextLength);
        }

        foreach (int token in tokens)
        {
            Add(token, generated: false);
        }
    }

    // Runs what the cache lacks, in chunks. Observes tokens from observeFrom on; always leaves the last token's logits.
    private void Evaluate(int observeFrom, LogitsObserver? observer, CancellationToken cancellationToken)
    {
        DecoderState state = _decoder.RentState();
        try
        {
            while (Cache.Length < _tokens.Count)
            {
                int start = Cache.Length;
                int count = Math.Min(_decoder.ChunkTokens, _tokens.Count - start);
                _slice[0] = new SequenceSlice(Cache, count, Adapters);
                _decoder.Forward(MissingTokens(count), _slice, state, Tap, cancellationToken);
                if (observer is not null)
                {
                    ObserveChunk(state, start, count, observeFrom, observer, cancellationToken);
                }
                else if (Pool is not null)
                {
                    TakeHidden(state, 0, count);
                }
                else if (Cache.Length == _tokens.Count)
                {
                    _rows[0] = count - 1;
                    AcceptLogits(_decoder.Logits(state, _rows.AsSpan(0, 1), cancellationToken));
                }
            }
        }
        finally
        {
            _decoder.ReturnState(state);
        }
    }

    private void ObserveChunk(DecoderState state, int start, int count, int observeFrom, LogitsObserver observer, CancellationToken cancellationToken)
    {
        for (int first = Math.Max(0, observeFrom - start); first < count; first += DecoderState.LogitsRows)
        {
            int rows = Math.Min(DecoderState.LogitsRows, count - first);
            for (int i = 0; i < rows; i++)
            {
                _rows[i] = first + i;
            }

            ReadOnlySpan<float> logits = _decoder.Logits(state, _rows.AsSpan(0, rows), cancellationToken);
            for (int i = 0; i < rows; i++)
            {
                observer(start + first + i, logits.Slice(i * _logits.Length, _logits.Length));
            }

            if (start + first + rows == _tokens.Count)
            {
                AcceptLogits(logits.Slice((rows - 1) * _logits.Length, _logits.Length));
            }
        }
    }
}
