using System.Text.Json;
using Vicuna.Managed.Chat;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.Generation;

public sealed class ChatSessionTests : IDisposable
{
    private static readonly GenerationOptions Greedy = new() { Temperature = 0 };

    private readonly LanguageModel _model = LanguageModel.Load(PicoVicuna.Folder, new LoadOptions { Threads = 2 });

    public void Dispose() => _model.Dispose();

    [Fact]
    public async Task TwoTurns_GiveTheGoldenAnswers()
    {
        using JsonDocument json = PicoVicuna.Golden();
        JsonElement golden = json.RootElement.GetProperty("two_turns");
        JsonElement turns = golden.GetProperty("turns");
        using LanguageModel model = LanguageModel.Load(PicoVicuna.GoldenFolder, new LoadOptions { Threads = 2 });
        using ChatSession chat = model.CreateChat(options: Greedy);
        GenerationResult first = await Send(chat, turns[0][0].GetString()!);
        Assert.Equal(turns[0][1].GetString(), first.Text);
        GenerationResult second = await Send(chat, turns[1][0].GetString()!);
        Assert.Equal(golden.GetProperty("greedy_text").GetString(), second.Text);
        Assert.Equal(golden.GetProperty("greedy_ids").EnumerateArray().Select(id => id.GetInt32()), second.TokenIds);
        Assert.Equal(golden.GetProperty("ids").GetArrayLength(), second.PromptTokens);
        Assert.Equal([ChatRole.User, ChatRole.Assistant, ChatRole.User, ChatRole.Assistant], chat.History.Select(message => message.Role));
    }

    [Fact]
    public async Task Answers_AreThoseOfAFreshPrompt_WhateverWasKeptFromEarlierTurns()
    {
        foreach (GenerationOptions options in new[]
        {
            Greedy,
            new GenerationOptions { Temperature = 1.2, Seed = 9, TopP = 1 },
            // So much that a token of an earlier answer would never be chosen if it counted.
            Greedy with { PresencePenalty = 100, MaxNewTokens = 30 },
            Greedy with { FrequencyPenalty = 100, MaxNewTokens = 30 },
            Greedy with { RepetitionPenalty = 1.3 },
        })
        {
            using ChatSession chat = _model.CreateChat("Be brief.", options);
            foreach (string question in new[] { "What is 3 plus 4?", "What color is the sky?", "What is the opposite of full?" })
            {
                GenerationResult fresh = _model.Generate(Prompt.FromMessages([.. chat.History, new ChatMessage(ChatRole.User, question)]), options);
                GenerationResult found = await Send(chat, question);
                Assert.Equal(fresh.TokenIds, found.TokenIds);
                Assert.Equal((fresh.Text, fresh.FinishReason, fresh.PromptTokens), (found.Text, found.FinishReason, found.PromptTokens));
            }
        }
    }

    [Fact]
    public async Task Turn_ThatIsCancelledOrLeft_LeavesTheHistory()
    {
        using LanguageModel slow = TinyModel.ForSlowWork().Load(TinyModel.SlowWork);
        using ChatSession chat = slow.CreateChat(options: Greedy with { IgnoreEndOfSequence = true, MaxNewTokens = 500 });
        using CancellationTokenSource stop = new();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (GenerationChunk piece in chat.SendAsync("What is 3 plus 4?").WithCancellation(stop.Token))
            {
                await stop.CancelAsync();
            }
        });
        Assert.Empty(chat.History);
        await foreach (GenerationChunk piece in chat.SendAsync("What color is the sky?"))
        {
            break;
        }

        Assert.Empty(chat.History);
        // The next turn does not see what those left in memory.
        int pieces = 0;
        List<int> found = [];
        await foreach (GenerationChunk piece in chat.SendAsync("What is 4 plus 5?"))
        {
            found.AddRange(piece.TokenIds);
            if (++pieces == 3)
            {
                break;
            }
        }

        Prompt fresh = Prompt.FromMessages([new ChatMessage(ChatRole.User, "What is 4 plus 5?")]);
        Assert.Equal(slow.Generate(fresh, Greedy with { IgnoreEndOfSequence = true, MaxNewTokens = found.Count }).TokenIds, found);
    }

    [Fact]
    public async Task SecondTurn_WhileOneIsUnderWay_IsRefused()
    {
        using ChatSession chat = _model.CreateChat(options: Greedy);
        await foreach (GenerationChunk piece in chat.SendAsync("What is 3 plus 4?"))
        {
            await Assert.ThrowsAsync<InvalidOperationException>(() => Send(chat, "And 4 plus 5?"));
            Assert.Throws<InvalidOperationException>(chat.Clear);
        }

        Assert.Equal(2, chat.History.Count);
    }

    [Fact]
    public async Task Clear_KeepsTheSystemMessageOnly()
    {
        using ChatSession chat = _model.CreateChat("Be brief.", Greedy);
        GenerationResult first = await Send(chat, "What is 3 plus 4?");
        chat.Clear();
        Assert.Equal([new ChatMessage(ChatRole.System, "Be brief.")], chat.History);
        Assert.Equal(first.TokenIds, (await Send(chat, "What is 3 plus 4?")).TokenIds);
    }

    [Fact]
    public async Task Conversation_ThatOutgrowsTheContext_IsRefusedAndStaysAsItWas()
    {
        using ChatSession chat = _model.CreateChat(options: Greedy);
        await Send(chat, "What is 3 plus 4?");
        string tooLong = string.Concat(Enumerable.Repeat("What is 3 plus 4? ", 80));
        ContextLengthExceededException found = await Assert.ThrowsAsync<ContextLengthExceededException>(() => Send(chat, tooLong));
        Assert.True(found.Tokens > 512 && found.ContextLength == 512);
        Assert.Equal(2, chat.History.Count);
        Assert.NotEmpty((await Send(chat, "What color is the sky?")).Text);
    }

    [Fact]
    public async Task Disposed_ConversationOrModel_SaysSo()
    {
        ChatSession chat = _model.CreateChat();
        chat.Dispose();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => Send(chat, "Hi"));
        using ChatSession other = _model.CreateChat();
        _model.Dispose();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => Send(other, "Hi"));
        Assert.Throws<ObjectDisposedException>(() => _model.CreateChat());
    }

    private static async Task<GenerationResult> Send(ChatSession chat, string message)
    {
        GenerationResult? result = null;
        string text = string.Empty;
        await foreach (GenerationChunk piece in chat.SendAsync(message))
        {
            Assert.Null(result);
            text += piece.Text;
            result = piece.Result;
        }

        Assert.Equal(result!.Text, text);
        return result;
    }
}
