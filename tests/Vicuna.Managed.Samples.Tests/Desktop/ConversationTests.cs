using DesktopSample.ViewModels;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Samples.Tests.Desktop;

/// <summary>Sending, streaming, stopping.</summary>
public sealed class ConversationTests
{
    private const string Question = "What is 3 plus 4?";
    private const string Answer = "Three plus four is seven.";

    [Fact]
    public Task Question_IsAnswered_WithSpeedTitleAndDraftTaken() => DesktopHost.RunAsync(async host =>
    {
        ConversationViewModel conversation = host.Main.Selected;
        Assert.False(conversation.SendCommand.CanExecute(null));
        await host.Main.StartAsync();
        Assert.False(conversation.SendCommand.CanExecute(null));
        host.Main.Settings.Temperature = 0;

        MessageViewModel answer = await host.AskAsync($"  {Question}\n");

        Assert.Equal(Answer, answer.Text);
        Assert.Equal([Question, Answer], conversation.Messages.Select(message => message.Text));
        Assert.Equal([true, false], conversation.Messages.Select(message => message.IsUser));
        Assert.Equal((Question, string.Empty), (conversation.Title, conversation.Draft));
        Assert.InRange(conversation.Tokens, 4, 40);
        Assert.True(conversation.TokensPerSecond > 0);
        Assert.True(conversation.TimeToFirstToken > TimeSpan.Zero);
        Assert.Matches("tokens/s, first after .* m?s$", conversation.SpeedText);
        Assert.Contains(conversation.SpeedText, answer.Note, StringComparison.Ordinal);
        Assert.Null(conversation.Error);
        Assert.False(conversation.IsAnswering);
    });

    [Fact]
    public Task NextTurn_HasTheConversationBeforeIt() => DesktopHost.RunAsync(async host =>
    {
        await host.Main.StartAsync();
        host.Main.Settings.Temperature = 0;
        await host.AskAsync(Question);
        long first = PromptTokens(host);
        await host.AskAsync(Question);
        Assert.Equal(4, host.Main.Selected.Messages.Count);
        Assert.True(PromptTokens(host) - first > first + 5, $"{first} tokens of the first prompt, {PromptTokens(host)} of both.");
    });

    [Fact]
    public async Task Stop_KeepsWhatThereIs_AndTheNextQuestionIsAnswered()
    {
        using TempFolder model = new();
        DesktopHost.WriteTalkativeModel(model.File("tiny"));
        await DesktopHost.RunAsync(async host =>
        {
            await host.Main.StartAsync(model.File("tiny"));
            (host.Main.Settings.Temperature, host.Main.Settings.MaxNewTokens) = (0, 100_000);
            ConversationViewModel conversation = host.Main.Selected;
            conversation.Draft = Question;
            Task sending = conversation.SendCommand.ExecuteAsync(null);
            Assert.True(conversation.IsAnswering);
            Assert.False(conversation.SendCommand.CanExecute(null));
            await DesktopHost.Until(() => conversation.Tokens > 3);
            conversation.StopCommand.Execute(null);
            await sending;

            Assert.False(conversation.IsAnswering);
            Assert.False(conversation.StopCommand.CanExecute(null));
            Assert.StartsWith("Stopped.", conversation.Messages[1].Note, StringComparison.Ordinal);
            Assert.NotEmpty(conversation.Messages[1].Text);
            Assert.Equal(0, host.Main.Model.Engine!.GetStatus().ActiveRequests);

            host.Main.Settings.MaxNewTokens = 3;
            MessageViewModel next = await host.AskAsync(Question);
            Assert.Contains("most tokens", next.Note, StringComparison.Ordinal);
        });
    }

    [Fact]
    public Task StopBeforeTheFirstToken_GivesTheQuestionBack() => DesktopHost.RunAsync(async host =>
    {
        await host.Main.StartAsync();
        ConversationViewModel conversation = host.Main.Selected;
        conversation.Draft = Question;
        Task sending = conversation.SendCommand.ExecuteAsync(null);
        conversation.StopCommand.Execute(null);
        await sending;
        Assert.Equal((Question, null), (conversation.Draft, conversation.Error));
        Assert.Empty(conversation.Messages);
        Assert.Equal(ConversationViewModel.NewTitle, conversation.Title);
    });

    [Fact]
    public Task TooLongAQuestion_IsAnErrorInWords_AndIsGivenBack() => DesktopHost.RunAsync(async host =>
    {
        await host.Main.StartAsync();
        ConversationViewModel conversation = host.Main.Selected;
        string question = string.Join(' ', Enumerable.Repeat("cat", 600));
        conversation.Draft = question;
        await conversation.SendCommand.ExecuteAsync(null);
        Assert.Matches("too long for the model: .* of 512", conversation.Error);
        Assert.Equal(question, conversation.Draft);
        Assert.Empty(conversation.Messages);

        await host.AskAsync(Question);
        Assert.Null(conversation.Error);
    });

    [Fact]
    public Task FullContext_EndsTheAnswer_AndIsSaid() => DesktopHost.RunAsync(async host =>
    {
        await host.Main.StartAsync();
        (host.Main.Settings.Temperature, host.Main.Settings.MaxNewTokens) = (0, 5000);
        ConversationViewModel conversation = host.Main.Selected;

        // As many words as still fit with room for a few tokens of an answer.
        int words = 600;
        do
        {
            words -= 4;
            conversation.Draft = "Tell me a story about a cat. " + string.Join(' ', Enumerable.Repeat("cat", words));
            await conversation.SendCommand.ExecuteAsync(null);
        }
        while (conversation.Error is not null);

        Assert.StartsWith("Cut short: the conversation fills", conversation.Messages[1].Note, StringComparison.Ordinal);
    });

    [Fact]
    public Task SameSeed_SameAnswer_OtherSystemText_OtherPrompt() => DesktopHost.RunAsync(async host =>
    {
        await host.Main.StartAsync();
        (host.Main.Settings.Temperature, host.Main.Settings.Seed) = (1.5, 7);
        string first = (await host.AskAsync("Tell me a story about a dog.")).Text;
        long tokens = PromptTokens(host);
        host.Main.NewConversationCommand.Execute(null);
        Assert.Equal(first, (await host.AskAsync("Tell me a story about a dog.")).Text);
        host.Main.NewConversationCommand.Execute(null);
        host.Main.Settings.SystemText = "Answer in one short sentence, and be kind to all animals that you speak of.";
        await host.AskAsync("Tell me a story about a dog.");
        Assert.NotEqual(3 * tokens, PromptTokens(host));
    });

    [Fact]
    public Task TwoConversations_AnswerAtTheSameTime_WhicheverIsLookedAt() => DesktopHost.RunAsync(async host =>
    {
        await host.Main.StartAsync();
        host.Main.Settings.Temperature = 0;
        ConversationViewModel one = host.Main.Selected;
        one.Draft = Question;
        Task first = one.SendCommand.ExecuteAsync(null);
        host.Main.NewConversationCommand.Execute(null);
        ConversationViewModel other = host.Main.Selected;
        Assert.NotSame(one, other);
        other.Draft = "What sound does a frog make?";
        await Task.WhenAll(first, other.SendCommand.ExecuteAsync(null));
        Assert.Equal(Answer, one.Messages[1].Text);
        Assert.Equal("A frog says croak.", other.Messages[1].Text);
    });

    private static long PromptTokens(DesktopHost host)
    {
        EngineStatus status = host.Main.Model.Engine!.GetStatus();
        return status.TotalPromptTokens + status.TotalCachedTokens;
    }
}
