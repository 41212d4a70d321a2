using System.Text.Json;
using Microsoft.Extensions.AI;
using Vicuna.Managed.Chat;

namespace Vicuna.Managed.Extensions.AI.Translation;

/// <summary>Makes the pieces of one answer updates.</summary>
/// <param name="modelId">The model's name.</param>
/// <param name="tools">Reads calls of tools; null where there are none.</param>
internal sealed class AnswerWriter(string modelId, PromptToolReader? tools)
{
    private readonly string _responseId = $"chatcmpl-{Guid.NewGuid():N}";
    private readonly string _messageId = $"msg-{Guid.NewGuid():N}";
    private readonly DateTimeOffset _created = DateTimeOffset.UtcNow;

    /// <summary>The update of a piece; null where the piece has nothing to show yet.</summary>
    public ChatResponseUpdate? Write(GenerationChunk piece)
    {
        string words = tools is null ? piece.Text : tools.Read(piece.Text);
        List<AIContent> contents = words.Length > 0 ? [new TextContent(words)] : [];
        if (piece.Result is { } result)
        {
            ChatFinishReason reason = FinishOf(result.FinishReason);
            if (tools?.GetCall() is { } call)
            {
                contents.Add(CallOf(call));
                reason = ChatFinishReason.ToolCalls;
            }

            return Last(contents, piece, result, reason);
        }

        return contents.Count > 0 ? Update(contents, piece) : null;
    }

    private static FunctionCallContent CallOf(PromptToolCall call)
    {
        using JsonDocument arguments = JsonDocument.Parse(call.Arguments);
        Dictionary<string, object?> values = new(StringComparer.Ordinal);
        foreach (JsonProperty argument in arguments.RootElement.EnumerateObject())
        {
            values[argument.Name] = argument.Value.Clone();
        }

        return new FunctionCallContent($"call_{Guid.NewGuid():N}", call.Name, values);
    }

    private ChatResponseUpdate Last(List<AIContent> contents, GenerationChunk piece, GenerationResult result, ChatFinishReason reason)
    {
        contents.Add(new UsageContent(UsageOf(result)));
        ChatResponseUpdate update = Update(contents, piece);
        update.FinishReason = reason;
        return update;
    }

    private ChatResponseUpdate Update(List<AIContent> contents, GenerationChunk piece) => new(Microsoft.Extensions.AI.ChatRole.Assistant, contents)
    {
        ResponseId = _responseId,
        MessageId = _messageId,
        ModelId = modelId,
        CreatedAt = _created,
        RawRepresentation = piece,
    };

    // Whatever limit it was that cut the answer, it is one of length to those who only know OpenAI's reasons.
    private static ChatFinishReason FinishOf(FinishReason reason) =>
        reason is FinishReason.EndOfSequence or FinishReason.StopString ? ChatFinishReason.Stop : ChatFinishReason.Length;

    private static UsageDetails UsageOf(GenerationResult result) => new()
    {
        InputTokenCount = result.PromptTokens,
        OutputTokenCount = result.TokenIds.Count,
        TotalTokenCount = result.PromptTokens + result.TokenIds.Count,
        CachedInputTokenCount = result.CachedPromptTokens,
    };
}
