using System.Text.Json;
using Vicuna.Managed.Tokenization;

namespace Vicuna.Managed.AspNetCore.Endpoints;

/// <summary>Writes log-probabilities, in the form of chats and in the older one of completions.</summary>
internal static class LogProbabilityWriter
{
    // What no probability is: JSON has no infinity. OpenAI's API has the same number.
    private const double Least = -9999;

    /// <summary>Writes the member <c>logprobs</c> of a choice of a chat.</summary>
    public static void WriteChat(Utf8JsonWriter json, LanguageModel model, IReadOnlyList<AnswerToken>? tokens)
    {
        if (tokens is null)
        {
            json.WriteNull("logprobs");
            return;
        }

        json.WriteStartObject("logprobs");
        json.WriteStartArray("content");
        foreach (AnswerToken token in tokens)
        {
            json.WriteStartObject();
            WriteToken(json, model.Tokenizer, token, token.Token);
            json.WriteStartArray("top_logprobs");
            foreach (TokenLogProbability top in token.Token.Top)
            {
                json.WriteStartObject();
                WriteToken(json, model.Tokenizer, token, top);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteNull("refusal");
        json.WriteEndObject();
    }

    /// <summary>Writes the member <c>logprobs</c> of a choice of a completion.</summary>
    public static void WriteClassic(Utf8JsonWriter json, LanguageModel model, IReadOnlyList<AnswerToken>? tokens)
    {
        if (tokens is null)
        {
            json.WriteNull("logprobs");
            return;
        }

        json.WriteStartObject("logprobs");
        json.WriteStartArray("tokens");
        foreach (AnswerToken token in tokens)
        {
            json.WriteStringValue(token.TextOf(model.Tokenizer, token.Token.TokenId));
        }

        json.WriteEndArray();
        json.WriteStartArray("token_logprobs");
        foreach (AnswerToken token in tokens)
        {
            json.WriteNumberValue(Finite(token.Token.LogProbability));
        }

        json.WriteEndArray();
        json.WriteStartArray("top_logprobs");
        foreach (AnswerToken token in tokens)
        {
            // Tokens may share a text, members may not share a name: the likeliest has it. The chosen token is there even where others are likelier.
            HashSet<string> seen = [];
            json.WriteStartObject();
            foreach (TokenLogProbability top in token.Token.Top.Append(token.Token))
            {
                string text = token.TextOf(model.Tokenizer, top.TokenId);
                if (seen.Add(text))
                {
                    json.WriteNumber(text, Finite(top.LogProbability));
                }
            }

            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartArray("text_offset");
        foreach (AnswerToken token in tokens)
        {
            json.WriteNumberValue(token.Offset);
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteToken(Utf8JsonWriter json, SentencePieceTokenizer tokenizer, AnswerToken place, TokenLogProbability token)
    {
        json.WriteString("token", place.TextOf(tokenizer, token.TokenId));
        json.WriteNumber("logprob", Finite(token.LogProbability));
        if (!AnswerToken.HasPiece(tokenizer, token.TokenId) || tokenizer.TypeOf(token.TokenId) == PieceType.Control)
        {
            json.WriteNull("bytes");
            return;
        }

        json.WriteStartArray("bytes");
        foreach (byte value in place.BytesOf(tokenizer, token.TokenId))
        {
            json.WriteNumberValue(value);
        }

        json.WriteEndArray();
    }

    private static double Finite(double value) => double.IsFinite(value) ? value : Least;
}
