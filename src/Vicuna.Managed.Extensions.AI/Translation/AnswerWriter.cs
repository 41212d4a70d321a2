using Microsoft.Extensions.AI;

namespace Vicuna.Managed.Extensions.AI.Translation;

/// <summary>Makes the pieces of one answer updates.</summary>
internal sealed class AnswerWriter(string modelId)
{
    private readonly string _responseId = $"chatcmpl-{Guid.NewGuid():N}";
    private readonly string _messageId = $"msg-{Guid.NewGuid():N}";
    private readonly DateTimeOffset _created = DateTimeOffset.UtcNow;

    /// <summary>The update of a piece; null where the piece has nothing to show yet.</summary>
    public ChatResponseUpdate? Write(GenerationChunk piece)
    {
        List<AIContent> contents = piece.Text.Length > 0 ? [new TextContent(piece.Text)] : [];
        if (piece.Result is { } result)
        {
            return Last(contents, piece, result, FinishOf(result.FinishReason));
        }

        return contents.Count > 0 ? Update(contents, piece) : null;
    }

    private ChatResponseUpdate Last(List<AIContent> contents, GenerationChunk piece, GenerationResult result, ChatFinishReason reason)
    {
        contents.Add(new UsageContent(UsageOf(result)));
        ChatResponseUpdate update = Update(contents, piece);
        update.FinishReason = reason;
        return update;
    }

    private ChatResponseUpdate Update(List<AIContent> contents, GenerationChunk piece) => new(ChatRole.Assistant, contents)
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
