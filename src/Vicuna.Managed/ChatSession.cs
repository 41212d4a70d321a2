using System.Runtime.CompilerServices;
using Vicuna.Managed.Chat;
using Vicuna.Managed.Generation;

namespace Vicuna.Managed;

/// <summary>
/// A conversation with a model. What earlier turns have in common with the next prompt is not computed again. One turn at a time; a turn that
/// fails or is cancelled leaves the history as it was.
/// </summary>
public sealed class ChatSession : IDisposable
{
    private readonly LanguageModel _model;
    private readonly Generator _generator;
    private readonly List<ChatMessage> _history = [];
    private int _busy;

    internal ChatSession(LanguageModel model, string? system, GenerationOptions? options)
    {
        _model = model;
        // Asked for now, so that a model that cannot chat says so at once.
        _ = model.Tokenizer;
        _ = model.PromptFormatter;
        _generator = model.CreateGenerator(options);
        if (system is not null)
        {
            _history.Add(new ChatMessage(ChatRole.System, system));
        }
    }

    /// <summary>The messages so far: the system message where one was given, then user and assistant in turn.</summary>
    public IReadOnlyList<ChatMessage> History => _history;

    /// <summary>Sends a message and streams the answer.</summary>
    /// <param name="message">What the user says.</param>
    /// <param name="cancellationToken">Stops the answer.</param>
    /// <returns>The pieces; the last one carries the whole answer.</returns>
    /// <exception cref="ContextLengthExceededException">The conversation does not fit the context any more.</exception>
    /// <exception cref="InvalidOperationException">Another turn is under way.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">The session or its model has been disposed.</exception>
    public IAsyncEnumerable<GenerationChunk> SendAsync(string message, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(message);
        return TakeTurn(new ChatMessage(ChatRole.User, message), cancellationToken);
    }

    /// <summary>Forgets all turns; the system message stays.</summary>
    /// <exception cref="InvalidOperationException">A turn is under way.</exception>
    public void Clear()
    {
        if (Interlocked.Exchange(ref _busy, 1) == 1)
        {
            throw new InvalidOperationException("A turn of this conversation is under way.");
        }

        _history.RemoveAll(message => message.Role != ChatRole.System);
        Volatile.Write(ref _busy, 0);
    }

    /// <summary>Frees the conversation's memory.</summary>
    public void Dispose() => _generator.Dispose();

    private async IAsyncEnumerable<GenerationChunk> TakeTurn(ChatMessage question, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        if (Interlocked.Exchange(ref _busy, 1) == 1)
        {
            throw new InvalidOperationException("A turn of this conversation is under way; one turn at a time.");
        }

        try
        {
            IAsyncEnumerable<GenerationChunk> pieces = TextGeneration.Stream((emit, stop) => Answer(question, emit, stop), cancellationToken);
            await foreach (GenerationChunk piece in pieces.ConfigureAwait(false))
            {
                if (piece.Result is { } result)
                {
                    _history.Add(question);
                    _history.Add(new ChatMessage(ChatRole.Assistant, result.Text));
                }

                yield return piece;
            }
        }
        finally
        {
            Volatile.Write(ref _busy, 0);
        }
    }

    private void Answer(ChatMessage question, Action<GenerationChunk> emit, CancellationToken cancellationToken)
    {
        IReadOnlyList<int> prompt = _model.Encode(Prompt.FromMessages([.. _history, question]));
        if (prompt.Count >= _generator.ContextLength)
        {
            throw new ContextLengthExceededException(prompt.Count, _generator.ContextLength);
        }

        // At least one token of the prompt has to be run, for its logits.
        int common = 0;
        while (common < prompt.Count - 1 && common < _generator.Position && prompt[common] == _generator.Tokens[common])
        {
            common++;
        }

        _generator.RewindToPrompt(common);
        _model.Prepare(_generator, isTurn: true).Run([.. prompt.Skip(common)], emit, cancellationToken);
    }
}
