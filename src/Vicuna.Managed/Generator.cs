using Vicuna.Managed.Constraints;
using Vicuna.Managed.Generation;
using Vicuna.Managed.Models;
using Vicuna.Managed.Sampling;
using Vicuna.Managed.Tokenization;

namespace Vicuna.Managed;

/// <summary>
/// One sequence of tokens and the model's memory of it, step by step: append tokens, take the next, look at logits, rewind, save and restore.
/// Made by <see cref="LanguageModel.CreateGenerator(GenerationOptions?)"/>; any number of them share one model's weights. Compute runs on the calling thread and the
/// model's worker threads. A generator is for one thread at a time: a second call while one is under way is refused, not queued.
/// </summary>
public sealed partial class Generator : IDisposable
{
    private readonly Decoder _decoder;
    private readonly SentencePieceTokenizer? _tokenizer;
    private readonly Sampler _sampler;
    private readonly Sequence _sequence;
    private readonly UseGuard _guard;
    private readonly ConstraintCursor? _constraint;
    private readonly LogProbabilities? _logProbabilities;
    private SamplingSettings _settings;
    private IReadOnlyList<LoraAdapter> _adapters;
    private TokenLogProbability? _lastLogProbability;
    private int _lastPosition;

    // Position that the constraint has followed the sequence to; negative = not at all.
    private int _constrainedTo = -1;

    internal Generator(Decoder decoder, SentencePieceTokenizer? tokenizer, GenerationOptions options, int contextLength, IReadOnlyList<int> endIds)
    {
        Options = options;
        ContextLength = contextLength;
        _decoder = decoder;
        _tokenizer = tokenizer;
        _settings = OptionsResolver.Resolve(options, decoder.Config.VocabSize);
        _sampler = new Sampler(decoder.Config.VocabSize);
        _adapters = [.. options.Adapters ?? []];
        _sequence = new Sequence(decoder, contextLength, this) { Adapters = LoraAdapter.Stack(_adapters, decoder, nameof(options)) };
        _guard = _sequence.Guard;
        _logProbabilities = options.LogProbabilities is null ? null : new LogProbabilities();
        if (options.Constraint is { } constraint)
        {
            _constraint = new ConstraintCursor(constraint.Grammar.For(tokenizer!), decoder.Config.VocabSize);
            _constraint.Configure(endIds, stripsLeadingSpace: false);
        }
    }

    /// <summary>The options in force: the caller's, with the model's defaults where those were null.</summary>
    public GenerationOptions Options { get; }

    /// <summary>Most tokens that the sequence can have.</summary>
    public int ContextLength { get; }

    /// <summary>The sequence so far.</summary>
    public IReadOnlyList<int> Tokens => _sequence.Tokens;

    /// <summary>Number of tokens in the sequence, which is the position of the next one.</summary>
    public int Position => _sequence.Tokens.Count;

    /// <summary>Key of the random numbers: the one from the options, or the one that was drawn where they have none.</summary>
    public long Seed => _settings.Seed;

    /// <summary>
    /// The adapters in force; at first those of the options. They may be changed between tokens: what is run from then on is run with the new ones, while
    /// the model's memory of earlier tokens, and logits that are known already, stay as the old ones made them.
    /// </summary>
    /// <exception cref="ArgumentException">An adapter is null, or was loaded for another model.</exception>
    /// <exception cref="InvalidOperationException">Another call is under way.</exception>
    /// <exception cref="ObjectDisposedException">The generator has been disposed.</exception>
    public IReadOnlyList<LoraAdapter> Adapters
    {
        get => _adapters;
        set
        {
            ArgumentNullException.ThrowIfNull(value);
            IReadOnlyList<LoraAdapter> adapters = [.. value];
            AdapterStack? stack = LoraAdapter.Stack(adapters, _decoder, nameof(value));
            _guard.Enter();
            try
            {
                (_adapters, _sequence.Adapters) = (adapters, stack);
            }
            finally
            {
                _guard.Exit();
            }
        }
    }

    /// <summary>
    /// How likely the model held the last token to be, where <see cref="GenerationOptions.LogProbabilities"/> asked for it; null where it did not, and where
    /// the last token was not chosen by <see cref="Next"/>.
    /// </summary>
    public TokenLogProbability? LastLogProbability => _lastLogProbability is not null && _lastPosition == Position ? _lastLogProbability : null;

    /// <summary>Sees activations during the passes; for tests and measurements.</summary>
    internal IActivationTap? Tap
    {
        get => _sequence.Tap;
        set => _sequence.Tap = value;
    }

    /// <summary>The sequence, for passes with others.</summary>
    internal Sequence Sequence => _sequence;

    /// <summary>Adds tokens to the sequence and runs them through the model. If it fails or is cancelled, the sequence is as before.</summary>
    /// <param name="tokens">Token ids, at least one. No beginning-of-sequence id is added.</param>
    /// <param name="cancellationToken">Checked before each piece of each matrix product.</param>
    /// <exception cref="ArgumentException">No tokens, or an id outside the vocabulary.</exception>
    /// <exception cref="ContextLengthExceededException">The context does not hold them.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="InvalidOperationException">Another call is under way.</exception>
    /// <exception cref="ObjectDisposedException">The generator or its model has been disposed.</exception>
    public void Append(ReadOnlySpan<int> tokens, CancellationToken cancellationToken = default) => _sequence.Append(tokens, null, cancellationToken);

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
        _sequence.Append(tokens, observer, cancellationToken);
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
        _sequence.Append([.. tokenizer.Encode(text, addBos: Position == 0 && tokenizer.AddBos)], null, cancellationToken);
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
            _sequence.EnsureLogits(cancellationToken);
            return _sequence.Logits;
        }
        finally
        {
            _guard.Exit();
        }
    }

    /// <summary>
    /// Chooses the next token by the options and adds it to the sequence. Allocates nothing beyond a cache page now and then, log-probabilities, and what a
    /// constraint learns at places where no answer has been before.
    /// </summary>
    /// <remarks>
    /// A <see cref="GenerationOptions.Constraint"/> is about the tokens that this method has chosen one after the other: what is appended begins a new
    /// text, and rewinding, forking, saving and restoring take it along. When only the end is possible, an end-of-sequence id is chosen.
    /// </remarks>
    /// <param name="cancellationToken">Checked before each piece of each matrix product.</param>
    /// <returns>The token's id. End-of-sequence ids are returned like any other: stopping is the caller's business here.</returns>
    /// <exception cref="ContextLengthExceededException">The context is full.</exception>
    /// <exception cref="NonFiniteLogitsException">The model's output is not a number.</exception>
    /// <exception cref="InvalidOperationException">
    /// The sequence is empty, or another call is under way; or a constraint's text has ended, or does not go on with this vocabulary.
    /// </exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">The generator or its model has been disposed.</exception>
    public int Next(CancellationToken cancellationToken = default)
    {
        _guard.Enter();
        try
        {
            if (Position >= ContextLength)
            {
                throw new ContextLengthExceededException(Position + 1, ContextLength);
            }

            _sequence.EnsureLogits(cancellationToken);
            FollowSequence();
            int token = _sampler.Sample(_sequence.Logits, _settings, _sequence.Counts, Position, _constraint is null ? [] : _constraint.Next());
            TakeLogProbability(token);
            // Its pass through the model waits until something asks for what comes after it: an answer's last token never needs one.
            _sequence.Add(token, generated: true);
            if (_constraint is not null)
            {
                _constraint.TryAccept(token);
                _constrainedTo = Position;
            }

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
            ArgumentOutOfRangeException.ThrowIfGreaterThan(position, Position);
            _sequence.Cut(position, position);
            ForgetLast();
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
            _sequence.MakePrompt();
        }
        finally
        {
            _guard.Exit();
        }
    }

    /// <summary>
    /// Writes the sequence with the model's memory of it, so that <see cref="Restore"/> continues without computing it again. Adapters are not written:
    /// whoever restores the sequence sets those that it goes on with.
    /// </summary>
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
            SequenceFile.Write(destination, _decoder.Fingerprint, new SavedSequence(_settings.Seed, _sequence.Tokens, _sequence.Generated), _sequence.Cache);
        }
        finally
        {
            _guard.Exit();
        }
    }

    /// <summary>Replaces the sequence by a saved one, its random seed included. If it fails, the sequence is as before.</summary>
    /// <param name="source">What <see cref="Save"/> wrote, on a machine of the same byte order, for the same model.</param>
    /// <exception cref="ModelFormatException">The data is damaged, cut short, of another model, or of another <see cref="KeyValueType"/>.</exception>
    /// <exception cref="ContextLengthExceededException">This generator's context does not hold the sequence.</exception>
    /// <exception cref="InvalidOperationException">Another call is under way.</exception>
    /// <exception cref="ObjectDisposedException">The generator has been disposed.</exception>
    public void Restore(Stream source)
    {
        ArgumentNullException.ThrowIfNull(source);
        _guard.Enter();
        try
        {
            KvCache cache = new(_decoder.CacheShape, ContextLength);
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

            _sequence.Replace(saved, cache);
            _settings = _settings with { Seed = saved.Seed };
            ForgetLast();
        }
        finally
        {
            _guard.Exit();
        }
    }

    /// <summary>
    /// Makes a second sequence that continues from here: the same tokens, options, adapters and seed, with the model's memory of them shared, not copied.
    /// From then on the two are independent; either may be disposed first.
    /// </summary>
    /// <returns>The second sequence; the caller disposes it.</returns>
    /// <exception cref="InvalidOperationException">Another call is under way.</exception>
    /// <exception cref="ObjectDisposedException">The generator has been disposed.</exception>
    public Generator Fork()
    {
        _guard.Enter();
        try
        {
            Generator fork = new(_decoder, _tokenizer, Options, ContextLength, [])
            {
                _settings = _settings,
                _adapters = _adapters,
                _lastLogProbability = _lastLogProbability,
                _lastPosition = _lastPosition,
                _constrainedTo = _constrainedTo,
            };
            fork._sequence.ShareFrom(_sequence);
            fork._constraint?.CopyFrom(_constraint!);
            return fork;
        }
        finally
        {
            _guard.Exit();
        }
    }

    /// <summary>Frees the sequence's memory; if a call is under way on another thread, when that call ends.</summary>
    public void Dispose() => _guard.Close();
}
