using Vicuna.Managed.Tokenization;

namespace Vicuna.Managed.AspNetCore.Endpoints;

/// <summary>
/// The tokens of one answer whose log-probabilities are shown, so that their texts add up to the answer's: each comes with the text that it is part of, and
/// those that only formed the stop string never come.
/// </summary>
/// <param name="model">The model.</param>
/// <param name="isTurn">Whether the answer is a turn of a conversation, whose first space belongs to the template.</param>
internal sealed class AnswerTokens(LanguageModel model, bool isTurn)
{
    private readonly Queue<AnswerToken> _waiting = [];
    private StreamingDecoder? _decoder;
    private bool _hasBegun;
    private int _decoded;
    private int _shown;

    /// <summary>Takes the next tokens and the next text; gives the tokens whose text has come.</summary>
    /// <param name="tokens">The tokens, or null where nobody asked for them.</param>
    /// <param name="text">The text, which may be behind the tokens where it could begin a stop string.</param>
    /// <param name="result">The whole answer, where nothing comes after; or null.</param>
    /// <returns>The tokens, or null where nobody asked for them.</returns>
    public IReadOnlyList<AnswerToken>? Take(IReadOnlyList<TokenLogProbability>? tokens, string text, GenerationResult? result)
    {
        if (tokens is null)
        {
            return null;
        }

        foreach (TokenLogProbability token in tokens)
        {
            _waiting.Enqueue(Place(token));
        }

        _shown += text.Length;
        bool showsRest = result is not null && result.FinishReason != FinishReason.StopString;
        List<AnswerToken> shown = [];
        while (_waiting.TryPeek(out AnswerToken next) && (showsRest || next.Offset < _shown))
        {
            shown.Add(_waiting.Dequeue());
        }

        return shown;
    }

    private AnswerToken Place(TokenLogProbability token)
    {
        AnswerToken placed = new(token, _decoded, HasTemplateSpace: isTurn && !_hasBegun);
        if (AnswerToken.HasPiece(model.Tokenizer, token.TokenId))
        {
            _decoder ??= new StreamingDecoder(model.Tokenizer, isTurn);
            _decoded += _decoder.Append(token.TokenId).Length;
            // As the decoder has it: control pieces are no text, and where extra spaces are dropped, neither are those before the first word.
            bool isSpace = placed.BytesOf(model.Tokenizer, token.TokenId).IsEmpty && model.Tokenizer.RemoveExtraWhitespaces;
            _hasBegun |= !model.Tokenizer.TextBytes(token.TokenId).IsEmpty && !isSpace;
        }

        return placed;
    }
}
