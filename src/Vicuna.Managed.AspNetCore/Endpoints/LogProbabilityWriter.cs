using System.Text;
using System.Text.Json;
using Vicuna.Managed.Tokenization;

namespace Vicuna.Managed.AspNetCore.Endpoints;

/// <summary>Writes log-probabilities, in the form of chats and in the older one of completions.</summary>
internal static class LogProbabilityWriter
{
    // What no probability is: JSON has no infinity. OpenAI's API has the same number.
    private const double Least = -9999;

    /// <summary>Writes the member <c>logprobs</c> of a choice of a chat.</summary>
    public static void WriteChat(Utf8JsonWriter json, LanguageModel model, IReadOnlyList<TokenLogProbability>? tokens)
    {
        if (tokens is null)
        {
            json.WriteNull("logprobs");
            return;
        }

        json.WriteStartObject("logprobs");
        json.WriteStartArray("content");
        foreach (TokenLogProbability token in tokens)
        {
            json.WriteStartObject();
            WriteToken(json, model.Tokenizer, token);
            json.WriteStartArray("top_logprobs");
            foreach (TokenLogProbability top in token.Top)
            {
                json.WriteStartObject();
                WriteToken(json, model.Tokenizer, top);
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
    /// <param name="json">Receives it.</param>
    /// <param name="model">The model.</param>
    /// <param name="tokens">The tokens, or null for none.</param>
    /// <param name="offset">Where the first token's text begins, in characters.</param>
    /// <returns>Where the next token's text would begin.</returns>
    public static int WriteClassic(Utf8JsonWriter json, LanguageModel model, IReadOnlyList<TokenLogProbability>? tokens, int offset)
    {
        if (tokens is null)
        {
            json.WriteNull("logprobs");
            return offset;
        }

        string[] texts = [.. tokens.Select(token => TextOf(model.Tokenizer, token.TokenId))];
        json.WriteStartObject("logprobs");
        json.WriteStartArray("tokens");
        Array.ForEach(texts, json.WriteStringValue);
        json.WriteEndArray();
        json.WriteStartArray("token_logprobs");
        foreach (TokenLogProbability token in tokens)
        {
            json.WriteNumberValue(Finite(token.LogProbability));
        }

        json.WriteEndArray();
        json.WriteStartArray("top_logprobs");
        foreach (TokenLogProbability token in tokens)
        {
            // Tokens may share a text, members may not share a name: the likeliest has it.
            HashSet<string> seen = [];
            json.WriteStartObject();
            foreach (TokenLogProbability top in token.Top)
            {
                string text = TextOf(model.Tokenizer, top.TokenId);
                if (seen.Add(text))
                {
                    json.WriteNumber(text, Finite(top.LogProbability));
                }
            }

            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartArray("text_offset");
        foreach (string text in texts)
        {
            json.WriteNumberValue(offset);
            offset += text.Length;
        }

        json.WriteEndArray();
        json.WriteEndObject();
        return offset;
    }

    private static void WriteToken(Utf8JsonWriter json, SentencePieceTokenizer tokenizer, TokenLogProbability token)
    {
        json.WriteString("token", TextOf(tokenizer, token.TokenId));
        json.WriteNumber("logprob", Finite(token.LogProbability));
        if (tokenizer.TypeOf(token.TokenId) == PieceType.Control)
        {
            json.WriteNull("bytes");
            return;
        }

        json.WriteStartArray("bytes");
        foreach (byte value in tokenizer.TextBytes(token.TokenId))
        {
            json.WriteNumberValue(value);
        }

        json.WriteEndArray();
    }

    // A control piece has no text; its name tells which it is. A part of a character is U+FFFD, its bytes tell which.
    private static string TextOf(SentencePieceTokenizer tokenizer, int id) =>
        tokenizer.TypeOf(id) == PieceType.Control ? tokenizer.PieceText(id) : Encoding.UTF8.GetString(tokenizer.TextBytes(id));

    private static double Finite(double value) => double.IsFinite(value) ? value : Least;
}
