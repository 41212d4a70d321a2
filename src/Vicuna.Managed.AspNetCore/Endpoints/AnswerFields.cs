using System.Reflection;
using System.Text.Json;

namespace Vicuna.Managed.AspNetCore.Endpoints;

/// <summary>Members that several responses have.</summary>
internal static class AnswerFields
{
    private static readonly string Fingerprint =
        $"vicuna-managed-{typeof(AnswerFields).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "0"}";

    /// <summary>The members that every response, and every chunk of one, begins with.</summary>
    public static void WriteHead(Utf8JsonWriter json, Exchange exchange, string prefix, string type)
    {
        json.WriteString("id", $"{prefix}-{exchange.Id}");
        json.WriteString("object", type);
        json.WriteNumber("created", exchange.Created);
        json.WriteString("model", exchange.Served.Id);
        json.WriteString("system_fingerprint", Fingerprint);
    }

    /// <summary>Writes the numbers of tokens; a prompt counts once, however many answers it has.</summary>
    public static void WriteUsage(Utf8JsonWriter json, IReadOnlyList<GenerationResult> results, int choices)
    {
        int prompt = 0;
        int cached = 0;
        for (int i = 0; i < results.Count; i += choices)
        {
            prompt += results[i].PromptTokens;
            cached += results[i].CachedPromptTokens;
        }

        int completion = results.Sum(result => result.TokenIds.Count);
        json.WriteStartObject("usage");
        json.WriteNumber("prompt_tokens", prompt);
        json.WriteNumber("completion_tokens", completion);
        json.WriteNumber("total_tokens", prompt + completion);
        json.WriteStartObject("prompt_tokens_details");
        json.WriteNumber("cached_tokens", cached);
        json.WriteEndObject();
        json.WriteEndObject();
    }

    /// <summary>Why an answer ended, in the words that OpenAI's clients know; they fail at others.</summary>
    public static string FinishReasonOf(GenerationResult result) => result.FinishReason switch
    {
        FinishReason.EndOfSequence or FinishReason.StopString => "stop",
        _ => "length",
    };
}
