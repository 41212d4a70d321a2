using System.Collections.ObjectModel;
using CommunityToolkit.Mvvm.ComponentModel;
using CommunityToolkit.Mvvm.Input;
using Vicuna.Managed;
using Vicuna.Managed.Chat;

namespace DesktopSample.ViewModels;

/// <summary>
/// A conversation: its messages, what is being typed, sending and stopping. Conversations answer independently of each other and of which one is looked at.
/// </summary>
/// <remarks>
/// Each message is one request to an <see cref="InferenceEngine"/>, with the whole conversation as its prompt. The engine keeps keys and values of what was
/// computed before, as far as its memory goes, for all conversations together; a <see cref="ChatSession"/> would hold memory for each conversation, and its
/// options for good, while settings here hold from the next message on.
/// </remarks>
public sealed partial class ConversationViewModel : ObservableObject
{
    private const int MaxTitleLength = 60;

    private readonly SynchronizationContext _ui;
    private readonly TimeProvider _time;
    private readonly ModelViewModel _model;
    private readonly SettingsViewModel _settings;
    private readonly UserStore _store;
    private CancellationTokenSource? _stop;
    private bool _isDeleted;

    internal ConversationViewModel(SynchronizationContext ui, TimeProvider time, ModelViewModel model, SettingsViewModel settings, UserStore store)
    {
        (_ui, _time, _model, _settings, _store) = (ui, time, model, settings, store);
        (Id, Title) = (Guid.NewGuid(), NewTitle);
    }

    internal ConversationViewModel(
        SynchronizationContext ui, TimeProvider time, ModelViewModel model, SettingsViewModel settings, UserStore store, ConversationRecord stored)
        : this(ui, time, model, settings, store)
    {
        (Id, Title) = (stored.Id, stored.Title);
        foreach (MessageRecord message in stored.Messages)
        {
            Messages.Add(new MessageViewModel(message.IsUser, message.Text, message.Note));
        }
    }

    /// <summary>Title of a conversation without messages.</summary>
    public static string NewTitle => "New conversation";

    /// <summary>Its name on the disk.</summary>
    public Guid Id { get; }

    /// <summary>The messages: the user's and the model's in turn.</summary>
    public ObservableCollection<MessageViewModel> Messages { get; } = [];

    /// <summary>The beginning of the first question.</summary>
    [ObservableProperty]
    public partial string Title { get; private set; }

    /// <summary>What is being typed.</summary>
    [ObservableProperty]
    [NotifyCanExecuteChangedFor(nameof(SendCommand))]
    public partial string Draft { get; set; } = string.Empty;

    /// <summary>Whether an answer is under way.</summary>
    [ObservableProperty]
    [NotifyCanExecuteChangedFor(nameof(SendCommand), nameof(StopCommand))]
    public partial bool IsAnswering { get; private set; }

    /// <summary>Why the last message was not answered, or not saved; null where all is well. What could not be sent is in <see cref="Draft"/> again.</summary>
    [ObservableProperty]
    public partial string? Error { get; private set; }

    /// <summary>Tokens of the answer under way or the last one; 0 before it.</summary>
    [ObservableProperty]
    public partial int Tokens { get; private set; }

    /// <summary>Its speed, in tokens per second; 0 before it is known.</summary>
    [ObservableProperty]
    [NotifyPropertyChangedFor(nameof(SpeedText))]
    public partial double TokensPerSecond { get; private set; }

    /// <summary>Time from sending to its first token; zero before it.</summary>
    [ObservableProperty]
    [NotifyPropertyChangedFor(nameof(SpeedText))]
    public partial TimeSpan TimeToFirstToken { get; private set; }

    /// <summary>The two in words; empty before they are known.</summary>
    public string SpeedText => TokensPerSecond > 0 ? Wording.Speed(TokensPerSecond, TimeToFirstToken) : string.Empty;

    /// <inheritdoc/>
    public override string ToString() => Title;

    /// <summary>Takes note that the error has been read.</summary>
    internal void DismissError() => Error = null;

    /// <summary>Looks again at whether a message can be sent.</summary>
    internal void Refresh() => SendCommand.NotifyCanExecuteChanged();

    /// <summary>Stops the answer and waits for its end.</summary>
    internal async Task EndAsync(bool isDeleted)
    {
        _isDeleted |= isDeleted;
        _stop?.Cancel();
        if (SendCommand.ExecutionTask is { } sending)
        {
            await sending;
        }
    }

    [RelayCommand(CanExecute = nameof(CanSend))]
    private async Task SendAsync()
    {
        // Not every toolkit asks before it executes.
        if (!CanSend() || _model.Engine is not { } engine)
        {
            return;
        }

        string question = Draft.Trim();
        MessageViewModel answer = new(isUser: false, string.Empty);
        Prompt prompt = Prompt.FromMessages([.. _settings.SystemMessages(), .. Messages.Select(AsChat), new ChatMessage(ChatRole.User, question)]);
        using CancellationTokenSource stop = new();
        _stop = stop;
        (IsAnswering, Error, Draft, Tokens, TokensPerSecond, TimeToFirstToken) = (true, null, string.Empty, 0, 0, TimeSpan.Zero);
        Title = Messages.Count == 0 ? TitleOf(question) : Title;
        Messages.Add(new MessageViewModel(isUser: true, question));
        Messages.Add(answer);
        AnswerReader reader = new(_time);
        string? note = null;
        string? error = null;
        try
        {
            using LatestOnUi<AnswerSnapshot> live = new(_ui, _time, reader.Take, snapshot => Show(snapshot, answer));
            await reader.ReadAsync(engine.StreamAsync(prompt, _settings.ToOptions(), cancellationToken: stop.Token), live.Changed);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            note = "Stopped.";
        }
        catch (Exception exception)
        {
            // Whatever it is: a question that cannot be answered must not end the application.
            note = error = ErrorText.Of(exception);
        }

        _stop = null;
        AnswerSnapshot end = reader.Take();
        Show(end, answer);
        if (end.Text.Length == 0 && end.FinishReason is null)
        {
            // Nothing was answered: as if it had not been asked.
            Messages.RemoveAt(Messages.Count - 1);
            Messages.RemoveAt(Messages.Count - 1);
            Title = Messages.Count == 0 ? NewTitle : Title;
            (Draft, Error, IsAnswering) = (Draft.Length > 0 ? Draft : question, error, false);
            return;
        }

        answer.Note = NoteOf(note, end);
        (Error, IsAnswering) = (error, false);
        await SaveAsync();
    }

    private bool CanSend() => !IsAnswering && _model.IsReady && !_settings.HasErrors && !string.IsNullOrWhiteSpace(Draft);

    [RelayCommand(CanExecute = nameof(IsAnswering))]
    private void Stop() => _stop?.Cancel();

    private void Show(AnswerSnapshot snapshot, MessageViewModel answer) =>
        (answer.Text, Tokens, TokensPerSecond, TimeToFirstToken) = (snapshot.Text, snapshot.Tokens, snapshot.TokensPerSecond, snapshot.TimeToFirstToken);

    private async Task SaveAsync()
    {
        if (_isDeleted)
        {
            return;
        }

        try
        {
            MessageRecord[] messages = [.. Messages.Select(message => new MessageRecord(message.IsUser, message.Text, message.Note))];
            await _store.SaveAsync(new ConversationRecord(ConversationRecord.CurrentVersion, Id, Title, _time.GetUtcNow(), messages));
        }
        catch (Exception error) when (UserStore.IsOfDisk(error))
        {
            Error = $"The conversation could not be saved: {error.Message}";
        }
    }

    private static ChatMessage AsChat(MessageViewModel message) => new(message.IsUser ? ChatRole.User : ChatRole.Assistant, message.Text);

    private static string NoteOf(string? note, AnswerSnapshot end)
    {
        string speed = end.TokensPerSecond > 0 ? $", {Wording.Speed(end.TokensPerSecond, end.TimeToFirstToken)}" : string.Empty;
        string numbers = $"{end.Tokens:N0} tokens{speed}";
        string? reason = note ?? end.FinishReason switch
        {
            FinishReason.MaxNewTokens => "Cut short at the most tokens of an answer (settings).",
            FinishReason.ContextFull => "Cut short: the conversation fills the model's context. Begin a new one.",
            _ => null,
        };
        return reason is null ? numbers : $"{reason} {numbers}";
    }

    private static string TitleOf(string question)
    {
        string line = question.ReplaceLineEndings(" ");
        int end = Math.Min(line.Length, MaxTitleLength);

        // Not between the two halves of a character.
        end -= end < line.Length && char.IsHighSurrogate(line[end - 1]) ? 1 : 0;
        return end < line.Length ? $"{line.AsSpan(0, end).TrimEnd()}…" : line;
    }
}
