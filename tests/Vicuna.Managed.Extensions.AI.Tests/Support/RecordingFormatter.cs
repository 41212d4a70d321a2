using System.Collections.Concurrent;
using Vicuna.Managed.Chat;

namespace Vicuna.Managed.Extensions.AI.Tests.Support;

/// <summary>Vicuna's template, which keeps what it was given and on which threads.</summary>
internal sealed class RecordingFormatter : IPromptFormatter
{
    private readonly ConcurrentQueue<IReadOnlyList<ChatMessage>> _seen = [];
    private readonly ConcurrentDictionary<int, bool> _threads = [];

    public IReadOnlyList<string> StopStrings => PromptTemplates.Vicuna.StopStrings;

    public IReadOnlyList<string> StopPieces => PromptTemplates.Vicuna.StopPieces;

    public IReadOnlyCollection<int> Threads => [.. _threads.Keys];

    /// <summary>The last conversation, a line a message.</summary>
    public string Last => string.Join('\n', _seen.Last().Select(message => $"{message.Role}|{message.Content}"));

    public IReadOnlyList<PromptSegment> Format(IReadOnlyList<ChatMessage> messages)
    {
        _seen.Enqueue([.. messages]);
        _threads[Environment.CurrentManagedThreadId] = true;
        return PromptTemplates.Vicuna.Format(messages);
    }
}
