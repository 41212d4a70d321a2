using System.Text.Encodings.Web;
using System.Text.Json;

namespace Vicuna.Managed.Cli;

/// <summary>Writes one JSON object per line to standard output.</summary>
internal static class JsonOutput
{
    // The output is a file or a pipe, never a web page: characters beyond ASCII stay readable.
    private static readonly JsonWriterOptions Options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
    private static readonly Stream Output = Console.OpenStandardOutput();

    /// <summary>Writes a line.</summary>
    /// <param name="write">Writes the object's members.</param>
    public static void Line(Action<Utf8JsonWriter> write)
    {
        using (Utf8JsonWriter json = new(Output, Options))
        {
            json.WriteStartObject();
            write(json);
            json.WriteEndObject();
        }

        Output.Write("\n"u8);
        Output.Flush();
    }

    /// <summary>Writes a member that is an array of ids.</summary>
    public static void WriteIds(this Utf8JsonWriter json, string name, IEnumerable<int> ids)
    {
        json.WriteStartArray(name);
        foreach (int id in ids)
        {
            json.WriteNumberValue(id);
        }

        json.WriteEndArray();
    }

    /// <summary>Writes a member with the log-probabilities of tokens, if there are any: an object for each, with the likeliest tokens at its place.</summary>
    public static void WriteLogProbabilities(this Utf8JsonWriter json, IReadOnlyList<TokenLogProbability>? tokens)
    {
        if (tokens is null)
        {
            return;
        }

        json.WriteStartArray("logProbabilities");
        foreach (TokenLogProbability token in tokens)
        {
            WriteStart(json, token);
            json.WriteStartArray("top");
            foreach (TokenLogProbability other in token.Top)
            {
                WriteStart(json, other);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        json.WriteEndArray();

        static void WriteStart(Utf8JsonWriter json, TokenLogProbability token)
        {
            json.WriteStartObject();
            json.WriteNumber("id", token.TokenId);
            // JSON has no infinity: what the model holds impossible is as unlikely as a number can say.
            json.WriteNumber("logProbability", Math.Max(token.LogProbability, -float.MaxValue));
        }
    }

    /// <summary>Writes an array of finite numbers, with as many digits as tell one float from the next.</summary>
    /// <exception cref="NonFiniteLogitsException">A number is NaN or infinite, which JSON cannot say.</exception>
    public static void WriteFloats(this Utf8JsonWriter json, ReadOnlySpan<float> values)
    {
        json.WriteStartArray();
        for (int i = 0; i < values.Length; i++)
        {
            if (!float.IsFinite(values[i]))
            {
                throw new NonFiniteLogitsException($"Logit {i} is {values[i]}: the weights are damaged.");
            }

            json.WriteNumberValue(values[i]);
        }

        json.WriteEndArray();
    }
}
