using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Text;
using System.Threading.Channels;
using Vicuna.Managed.Tokenization;

namespace Vicuna.Managed.Generation;

/// <summary>One answer: prompt in, text out, until something ends it.</summary>
/// <param name="generator">The sequence, positioned where the prompt goes; the caller disposes it.</param>
/// <param name="tokenizer">Turns ids into text; null = ids only.</param>
/// <param name="endIds">Ids that end the answer.</param>
/// <param name="stopStrings">Texts that end the answer.</param>
/// <param name="stripLeadingSpace">Whether the answer's first space belongs to the template (an assistant's turn) and is dropped.</param>
internal sealed class TextGeneration(
    Generator generator, SentencePieceTokenizer? tokenizer, IReadOnlySet<int> endIds, IReadOnlyList<string> stopStrings, bool stripLeadingSpace)
{
    private readonly StreamingDecoder? _decoder = tokenizer is null ? null : new StreamingDecoder(tokenizer, stripLeadingSpace);
    private readonly StopMatcher _matcher = new(stopStrings);
    private readonly StringBuilder _text = new();
    private readonly List<int> _ids = [];
    private readonly List<TokenLogProbability>? _logProbabilities = generator.Options.LogProbabilities is null ? null : [];
    private readonly int _most = generator.Options.MaxNewTokens ?? OptionsResolver.DefaultMaxNewTokens;
    private int _promptTokens;
    private int _emittedIds;
    private long _started;
    private long _prefilled;
    private FinishReason _reason;

    /// <summary>The sequence.</summary>
    public Generator Generator => generator;

    /// <summary>Tokens of the answer so far.</summary>
    public int Tokens => _ids.Count;

    /// <summary>Tokens of the prompt that were in memory before, for the result.</summary>
    public int CachedPromptTokens { get; set; }

    /// <summary>Time that the request waited before, for the result.</summary>
    public TimeSpan QueueTime { get; set; }

    /// <summary>Generates on the calling thread.</summary>
    /// <param name="prompt">Ids to append first, at least one.</param>
    /// <param name="emit">Receives the pieces, the last with the result.</param>
    /// <param name="cancellationToken">Checked before each piece of each matrix product.</param>
    public GenerationResult Run(IReadOnlyList<int> prompt, Action<GenerationChunk> emit, CancellationToken cancellationToken)
    {
        CheckPrompt(prompt);
        generator.Append([.. prompt], cancellationToken);
        bool goesOn = true;
        while (goesOn)
        {
            goesOn = TakeToken(emit, cancellationToken);
        }

        return Finish(emit);
    }

    /// <summary>Adds the prompt without running it, for passes with others; afterwards <see cref="TakeToken"/> until it says no, then <see cref="Finish(Action{GenerationChunk})"/>.</summary>
    /// <param name="prompt">Ids to append first, at least one.</param>
    public void Begin(IReadOnlyList<int> prompt)
    {
        CheckPrompt(prompt);
        generator.Sequence.AppendPending([.. prompt]);
    }

    /// <summary>Chooses one token and hands on the text that became certain by it.</summary>
    /// <param name="emit">Receives it.</param>
    /// <param name="cancellationToken">Checked before each piece of each matrix product.</param>
    /// <returns>Whether the answer goes on.</returns>
    public bool TakeToken(Action<GenerationChunk> emit, CancellationToken cancellationToken)
    {
        _prefilled = _prefilled == 0 ? Stopwatch.GetTimestamp() : _prefilled;
        // A constraint that the empty text alone satisfies: there is nothing to choose.
        int token = generator.IsComplete ? -1 : generator.Next(cancellationToken);
        if (token < 0 || endIds.Contains(token))
        {
            _reason = FinishReason.EndOfSequence;
            return false;
        }

        _ids.Add(token);
        _logProbabilities?.Add(generator.LastLogProbability!);
        // Many models have more ids than their tokenizer has pieces, for the sake of round sizes: those are no text.
        string piece = _decoder is null || token >= tokenizer!.VocabularySize ? string.Empty : _matcher.Push(_decoder.Append(token));
        _text.Append(piece);
        if (piece.Length > 0 || _decoder is null)
        {
            emit(new GenerationChunk(piece, _ids[_emittedIds..]) { LogProbabilities = _logProbabilities?[_emittedIds..] });
            _emittedIds = _ids.Count;
        }

        bool isFull = generator.Position >= generator.ContextLength;
        bool isComplete = generator.IsComplete;
        _reason = _matcher.Found is not null ? FinishReason.StopString
            : isComplete ? FinishReason.EndOfSequence
            : _ids.Count < _most && isFull ? FinishReason.ContextFull
            : FinishReason.MaxNewTokens;
        return _matcher.Found is null && !isComplete && _ids.Count < _most && !isFull;
    }

    /// <summary>Hands on what was held back, and the whole answer.</summary>
    /// <param name="emit">Receives it.</param>
    public GenerationResult Finish(Action<GenerationChunk> emit) => Finish(emit, _reason);

    /// <summary>Ends the answer where it is, for a reason of the caller's.</summary>
    /// <param name="emit">Receives what was held back, and the whole answer.</param>
    /// <param name="because">The reason, unless a stop string turns up in what was held back.</param>
    public GenerationResult Finish(Action<GenerationChunk> emit, FinishReason because)
    {
        string rest = _matcher.Push(_decoder is null ? [] : _decoder.Flush());
        FinishReason reason = _matcher.Found is null ? because : FinishReason.StopString;
        rest += _matcher.Flush();
        _text.Append(rest);
        GenerationResult result = new(_text.ToString(), _ids, reason, _promptTokens, Stopwatch.GetElapsedTime(_started, _prefilled), Stopwatch.GetElapsedTime(_prefilled))
        {
            CachedPromptTokens = CachedPromptTokens,
            QueueTime = QueueTime,
            LogProbabilities = _logProbabilities,
        };
        emit(new GenerationChunk(rest, _ids[_emittedIds..]) { Result = result, LogProbabilities = _logProbabilities?[_emittedIds..] });
        return result;
    }

    private void CheckPrompt(IReadOnlyList<int> prompt)
    {
        if ((long)generator.Position + prompt.Count >= generator.ContextLength)
        {
            throw new ContextLengthExceededException(generator.Position + prompt.Count, generator.ContextLength);
        }

        generator.BeginAnswer([.. endIds], stripLeadingSpace);
        _promptTokens = generator.Position + prompt.Count;
        _started = Stopwatch.GetTimestamp();
    }

    /// <summary>Generates on a thread of its own and hands the pieces over. Leaving the loop early stops the work and waits for it to end.</summary>
    /// <param name="work">Generates, given where the pieces go and when to stop.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static async IAsyncEnumerable<GenerationChunk> Stream(
        Action<Action<GenerationChunk>, CancellationToken> work, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        Channel<GenerationChunk> pieces = Channel.CreateUnbounded<GenerationChunk>(new UnboundedChannelOptions { SingleReader = true, SingleWriter = true });
        using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        CancellationToken stopToken = stop.Token;
        Task<bool> producer = ComputeThread.Run(
            () =>
            {
                try
                {
                    stopToken.ThrowIfCancellationRequested();
                    work(piece => pieces.Writer.TryWrite(piece), stopToken);
                    return pieces.Writer.TryComplete();
                }
                catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
                {
                    // The caller's own token, not the linked one, so that he can tell whose cancellation it was.
                    return pieces.Writer.TryComplete(new OperationCanceledException(cancellationToken));
                }
                catch (Exception exception)
                {
                    return pieces.Writer.TryComplete(exception);
                }
            },
            CancellationToken.None);
        try
        {
            while (await pieces.Reader.WaitToReadAsync(CancellationToken.None).ConfigureAwait(false))
            {
                while (pieces.Reader.TryRead(out GenerationChunk? piece))
                {
                    yield return piece;
                }
            }
        }
        finally
        {
            await stop.CancelAsync().ConfigureAwait(false);
            await producer.ConfigureAwait(false);
        }
    }
}
