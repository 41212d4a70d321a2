using System.Runtime.InteropServices;
using Vicuna.Managed.Generation;
using Vicuna.Managed.Models;
using Vicuna.Managed.Sampling;
using Vicuna.Managed.Tokenization;

namespace Vicuna.Managed;

/// <summary>
/// One sequence of tokens and the model's memory of it, step by step: append tokens, take the next, look at logits, rewind, save and restore.
/// Made by <see cref="LanguageModel.CreateGenerator"/>; any number of them share one model's weights. Compute runs on the calling thread and the
/// model's worker threads. A generator is for one thread at a time: a second call while one is under way is refused, not queued.
/// </summary>
public sealed class Generator : IDisposable
{
    // Room for ordinary sequences from the start, so that decoding does not allocate.
    private const int PresizedTokens = 8192;

    private readonly Decoder _decoder;
    private readonly SentencePieceTokenizer? _tokenizer;
    private readonly int _chunkTokens;
    private readonly DecoderState _state;
    private readonly Sampler _sampler;
    private readonly TokenCounts _counts;
    private readonly List<int> _tokens;
    private readonly List<bool> _generated;
    private readonly float[] _logits;
    private readonly UseGuard _guard;
    private KvCache _cache;
    private SamplingSettings _settings;
    private bool _logitsAreCurrent;

    internal Generator(Decoder decoder, SentencePieceTokenizer? tokenizer, GenerationOptions options, int contextLength, int chunkTokens)
    {
        Options = options;
        ContextLength = contextLength;
        _decoder = decoder;
        _tokenizer = tokenizer;
        _chunkTokens = Math.Min(chunkTokens, contextLength);
        _tokens = new List<int>(Math.Min(contextLength, PresizedTokens));
        _generated = new List<bool>(_tokens.Capacity);
        _settings = OptionsResolver.Resolve(options, decoder.Config.VocabSize);
        _sampler = new Sampler(decoder.Config.VocabSize);
        _counts = new TokenCounts(decoder.Config.VocabSize);
        _logits = new float[decoder.Config.VocabSize];
        _cache = new KvCache(Decoder.KvShapeOf(decoder.Config), contextLength);
        _state = new DecoderState(decoder.Config, _chunkTokens);
        _guard = new UseGuard(this, Free);
    }

    /// <summary>The options in force: the caller's, with the model's defaults where those were null.</summary>
    public GenerationOptions Options { get; }

    /// <summary>Most tokens that the sequence can have.</summary>
    public int ContextLength { get; }

    /// <summary>The sequence so far.</summary>
    public IReadOnlyList<int> Tokens => _tokens;

    /// <summary>Number of tokens in the sequence, which is the position of the next one.</summary>
    public int Position => _tokens.Count;

    /// <summary>Key of the random numbers: the one from the options, or the one that was drawn where they have none.</summary>
    public long Seed => _settings.Seed;

    /// <summary>Sees activations during the passes; for tests and measurements.</summary>
    internal IActivationTap? Tap { get; set; }

    /// <summary>Adds tokens to the sequence and runs them through the model. If it fails or is cancelled, the sequence is as before.</summary>
    /// <param name="tokens">Token ids, at least one. No beginning-of-sequence id is added.</param>
    /// <param name="cancellationToken">Checked before each piece of each matrix product.</param>
    /// <exception cref="ArgumentException">No tokens, or an id outside the vocabulary.</exception>
    /// <exception cref="ContextLengthExceededException">The context does not hold them.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="InvalidOperationException">Another call is under way.</exception>
    /// <exception cref="ObjectDisposedException">The generator or its model has been disposed.</exception>
    public void Append(ReadOnlySpan<int> tokens, CancellationToken cancellationToken = default) => Extend(tokens, null, cancellationToken);

    /// <summary>Adds tokens and reports the logits after each of them.</summary>
    /// <param name="tokens">Token ids, at least one.</param>
    /// <param name="observer">Called for every token in order, during the call.</param>
    /// <param name="cancellationToken">Checked before each piece of each matrix product.</param>
    /// <exception cref="ArgumentException">No tokens, or an id outside the vocabulary.</exception>
    /// <exception cref="ContextLengthExceededException">The context does not hold them.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="InvalidOperationException">Another call is under way.</exception>
    /// <exception cref="ObjectDisposedException">The generator or its model has been disposed.</exception>
    public void AppendObserved(ReadOnlySpan<int> tokens, LogitsObserver observer, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(observer);
        Extend(tokens, observer, cancellationToken);
    }

    /// <summary>Encodes text and adds its tokens; at the beginning of the sequence with the beginning-of-sequence id, if the model's tokenizer uses one.</summary>
    /// <param name="text">The text. It can never become control tokens.</param>
    /// <param name="cancellationToken">Checked before each piece of each matrix product.</param>
    /// <exception cref="ArgumentException">The text has no tokens.</exception>
    /// <exception cref="ContextLengthExceededException">The context does not hold them.</exception>
    /// <exception cref="InvalidOperationException">The model has no tokenizer, or another call is under way.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">The generator or its model has been disposed.</exception>
    public void AppendText(string text, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(text);
        SentencePieceTokenizer tokenizer = _tokenizer ?? throw new InvalidOperationException("The model has no tokenizer: append token ids instead.");
        Extend([.. tokenizer.Encode(text, addBos: Position == 0 && tokenizer.AddBos)], null, cancellationToken);
    }

    /// <summary>Logits for the next token.</summary>
    /// <param name="cancellationToken">Checked before each piece of each matrix product.</param>
    /// <returns>f32 <c>[V]</c>, one per token id, unscaled and without penalties; valid until the next call on this generator.</returns>
    /// <exception cref="InvalidOperationException">The sequence is empty, or another call is under way.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">The generator or its model has been disposed.</exception>
    public ReadOnlySpan<float> GetLogits(CancellationToken cancellationToken = default)
    {
        _guard.Enter();
        try
        {
            EnsureLogits(cancellationToken);
            return _logits;
        }
        finally
        {
            _guard.Exit();
        }
    }

    /// <summary>Chooses the next token by the options and adds it to the sequence. Allocates nothing beyond a cache page now and then.</summary>
    /// <param name="cancellationToken">Checked before each piece of each matrix product.</param>
    /// <returns>The token's id. End-of-sequence ids are returned like any other: stopping is the caller's business here.</returns>
    /// <exception cref="ContextLengthExceededException">The context is full.</exception>
    /// <exception cref="NonFiniteLogitsException">The model's output is not a number.</exception>
    /// <exception cref="InvalidOperationException">The sequence is empty, or another call is under way.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">The generator or its model has been disposed.</exception>
    public int Next(CancellationToken cancellationToken = default)
    {
        _guard.Enter();
        try
        {
            if (_tokens.Count >= ContextLength)
            {
                throw new ContextLengthExceededException(_tokens.Count + 1, ContextLength);
            }

            EnsureLogits(cancellationToken);
            int token = _sampler.Sample(_logits, _settings, _counts, _tokens.Count);
            // Its pass through the model waits until something asks for what comes after it: an answer's last token never needs one.
            Add(token, generated: true);
            return token;
        }
        finally
        {
            _guard.Exit();
        }
    }

    /// <summary>Forgets the end of the sequence. What is generated from there is what an untouched sequence of that length would give.</summary>
    /// <param name="position">Tokens to keep, 0 to <see cref="Position"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException">The sequence is not that long.</exception>
    /// <exception cref="InvalidOperationException">Another call is under way.</exception>
    /// <exception cref="ObjectDisposedException">The generator has been disposed.</exception>
    public void Rewind(int position)
    {
        _guard.Enter();
        try
        {
            ArgumentOutOfRangeException.ThrowIfNegative(position);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(position, _tokens.Count);
            Cut(position, Math.Min(position, _cache.Length));
        }
        finally
        {
            _guard.Exit();
        }
    }

    /// <summary>Forgets the end of the sequence and counts what is kept as prompt: penalties on an answer's tokens concern the next answer alone.</summary>
    /// <param name="position">Tokens to keep, 0 to <see cref="Position"/>.</param>
    internal void RewindToPrompt(int position)
    {
        Rewind(position);
        _guard.Enter();
        try
        {
            for (int i = 0; i < _tokens.Count; i++)
            {
                if (_generated[i])
                {
                    _counts.Remove(_tokens[i], generated: true);
                    _counts.Add(_tokens[i], generated: false);
                    _generated[i] = false;
                }
            }
        }
        finally
        {
            _guard.Exit();
        }
    }

    /// <summary>Writes the sequence with the model's memory of it, so that <see cref="Restore"/> continues without computing it again.</summary>
    /// <param name="destination">Receives the bytes: little-endian, with a checksum; about <c>KV bytes per token x tokens</c> long.</param>
    /// <exception cref="IOException">The stream cannot be written.</exception>
    /// <exception cref="InvalidOperationException">Another call is under way.</exception>
    /// <exception cref="ObjectDisposedException">The generator has been disposed.</exception>
    public void Save(Stream destination)
    {
        ArgumentNullException.ThrowIfNull(destination);
        _guard.Enter();
        try
        {
            SequenceFile.Write(destination, _decoder.Fingerprint, new SavedSequence(_settings.Seed, _tokens, _generated), _cache);
        }
        finally
        {
            _guard.Exit();
        }
    }

    /// <summary>Replaces the sequence by a saved one, its random seed included. If it fails, the sequence is as before.</summary>
    /// <param name="source">What <see cref="Save"/> wrote, on a machine of the same byte order, for the same model.</param>
    /// <exception cref="ModelFormatException">The data is damaged, cut short, or of another model.</exception>
    /// <exception cref="ContextLengthExceededException">This generator's context does not hold the sequence.</exception>
    /// <exception cref="InvalidOperationException">Another call is under way.</exception>
    /// <exception cref="ObjectDisposedException">The generator has been disposed.</exception>
    public void Restore(Stream source)
    {
        ArgumentNullException.ThrowIfNull(source);
        _guard.Enter();
        try
        {
            KvCache cache = new(_cache.Shape, ContextLength);
            SavedSequence saved;
            try
            {
                saved = SequenceFile.Read(source, _decoder.Fingerprint, cache, _decoder.Config.VocabSize);
            }
            catch
            {
                cache.Dispose();
                throw;
            }

            Cut(0, 0);
            _cache.Dispose();
            _cache = cache;
            _settings = _settings with { Seed = saved.Seed };
            for (int i = 0; i < saved.Tokens.Count; i++)
            {
                Add(saved.Tokens[i], saved.Generated[i]);
            }
        }
        finally
        {
            _guard.Exit();
        }
    }

    /// <summary>Frees the sequence's memory; if a call is under way on another thread, when that call ends.</summary>
    public void Dispose() => _guard.Close();

    private void Free()
    {
        _cache.Dispose();
        _state.Dispose();
    }

    private void Extend(ReadOnlySpan<int> tokens, LogitsObserver? observer, CancellationToken cancellationToken)
    {
        if (tokens.IsEmpty)
        {
            throw new ArgumentException("Expected at least one token, found none.", nameof(tokens));
        }

        foreach (int token in tokens)
        {
            OptionsResolver.CheckToken(token, _decoder.Config.VocabSize, nameof(tokens));
        }

        _guard.Enter();
        try
        {
            if (tokens.Length > ContextLength - _tokens.Count)
            {
                throw new ContextLengthExceededException(_tokens.Count + tokens.Length, ContextLength);
            }

            int before = _tokens.Count;
            int cached = _cache.Length;
            foreach (int token in tokens)
            {
                Add(token, generated: false);
            }

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
            _guard.Exit();
        }
    }

    private void Add(int token, bool generated)
    {
        _tokens.Add(token);
        _generated.Add(generated);
        _counts.Add(token, generated);
        _logitsAreCurrent = false;
    }

    private void Cut(int tokens, int cached)
    {
        for (int i = _tokens.Count - 1; i >= tokens; i--)
        {
            _counts.Remove(_tokens[i], _generated[i]);
        }

        _tokens.RemoveRange(tokens, _tokens.Count - tokens);
        _generated.RemoveRange(tokens, _generated.Count - tokens);
        _cache.Truncate(Math.Min(cached, _cache.Length));
        _logitsAreCurrent = false;
    }

    private void EnsureLogits(CancellationToken cancellationToken)
    {
        if (_tokens.Count == 0)
        {
            throw new InvalidOperationException("The sequence is empty: append a prompt first.");
        }

        if (!_logitsAreCurrent)
        {
            // After a rewind or a restore the last token is in the cache, but its logits are not kept: it is run once more.
            _cache.Truncate(Math.Min(_cache.Length, _tokens.Count - 1));
            Evaluate(_tokens.Count, null, cancellationToken);
        }
    }

    // Runs what the cache lacks, in chunks. Observes tokens from observeFrom on; always leaves the last token's logits in _logits.
    private void Evaluate(int observeFrom, LogitsObserver? observer, CancellationToken cancellationToken)
    {
        ReadOnlySpan<int> tokens = CollectionsMarshal.AsSpan(_tokens);
        while (_cache.Length < tokens.Length)
        {
            int start = _cache.Length;
            int count = Math.Min(_chunkTokens, tokens.Length - start);
            _decoder.Forward(tokens.Slice(start, count), _cache, _state, Tap, cancellationToken);
            if (observer is not null)
            {
                ObserveChunk(start, count, observeFrom, observer, cancellationToken);
            }

            if (_cache.Length == tokens.Length)
            {
                _decoder.Logits(_state, count - 1, 1, cancellationToken).CopyTo(_logits);
            }
        }

        _logitsAreCurrent = true;
    }

    private void ObserveChunk(int start, int count, int observeFrom, LogitsObserver observer, CancellationToken cancellationToken)
    {
        for (int row = Math.Max(0, observeFrom - start); row < count; row += DecoderState.LogitsRows)
        {
            int rows = Math.Min(DecoderState.LogitsRows, count - row);
            ReadOnlySpan<float> logits = _decoder.Logits(_state, row, rows, cancellationToken);
            for (int i = 0; i < rows; i++)
            {
                observer(start + row + i, logits.Slice(i * _logits.Length, _logits.Length));
            }
        }
    }
}
