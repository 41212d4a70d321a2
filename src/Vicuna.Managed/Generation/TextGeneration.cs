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
    /// <summary>Generates on the calling thread.</summary>
    /// <param name="prompt">Ids to append first, at least one.</param>
    /// <param name="emit">Receives the pieces, the last with the result.</param>
    /// <param name="cancellationToken">Checked before each piece of each matrix product.</param>
    public GenerationResult Run(IReadOnlyList<int> prompt, Action<GenerationChunk> emit, CancellationToken cancellationToken)
    {
        if ((long)generator.Position + prompt.Count >= generator.ContextLength)
        {
            throw new ContextLengthExceededException(generator.Position + prompt.Count, generator.ContextLength);
        }

        int promptTokens = generator.Position + prompt.Count;
        long start = Stopwatch.GetTimestamp();
        generator.Append([.. prompt], cancellationToken);
        long prefilled = Stopwatch.GetTimestamp();

        StreamingDecoder? decoder = tokenizer is null ? null : new StreamingDecoder(tokenizer, stripLeadingSpace);
        StopMatcher matcher = new(stopStrings);
        StringBuilder text = new();
        List<int> ids = [];
        int emittedIds = 0;
        FinishReason reason = Loop();
        string rest = matcher.Push(decoder is null ? [] : decoder.Flush());
        reason = matcher.Found is null ? reason : FinishReason.StopString;
        rest += matcher.Flush();
        text.Append(rest);
        GenerationResult result = new(text.ToString(), ids, reason, promptTokens, Stopwatch.GetElapsedTime(start, prefilled), Stopwatch.GetElapsedTime(prefilled));
        emit(new GenerationChunk(rest, ids[emittedIds..]) { Result = result });
        return result;

        FinishReason Loop()
        {
            int most = generator.Options.MaxNewTokens ?? OptionsResolver.DefaultMaxNewTokens;
            while (ids.Count < most)
            {
                if (generator.Position >= generator.ContextLength)
                {
                    return FinishReason.ContextFull;
                }

                int token = generator.Next(cancellationToken);
                if (endIds.Contains(token))
                {
                    return FinishReason.EndOfSequence;
                }

                ids.Add(token);
                // Many models have more ids than their tokenizer has pieces, for the sake of round sizes: those are no text.
                string piece = decoder is null || token >= tokenizer!.VocabularySize ? string.Empty : matcher.Push(decoder.Append(token));
                text.Append(piece);
                if (piece.Length > 0 || decoder is null)
                {
                    emit(new GenerationChunk(piece, ids[emittedIds..]));
                    emittedIds = ids.Count;
                }

                if (matcher.Found is not null)
                {
                    return FinishReason.StopString;
                }
            }

            return FinishReason.MaxNewTokens;
        }
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
