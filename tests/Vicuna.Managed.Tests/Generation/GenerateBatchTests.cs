using Vicuna.Managed.Chat;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.Generation;

/// <summary>Answers to several prompts together are the answers to each alone.</summary>
[Collection(nameof(AloneInTheProcess))]
public sealed class GenerateBatchTests : IDisposable
{
    private readonly LanguageModel _model = LanguageModel.Load(PicoVicuna.Folder, new LoadOptions { Threads = 2 });

    private static Prompt[] Prompts =>
    [
        Prompt.FromMessages([new ChatMessage(ChatRole.User, "What color is the sky?")]),
        "The sky",
        Prompt.FromTokens([1, 300, 301]),
        "Bäume 你好",
        Prompt.FromMessages([new ChatMessage(ChatRole.User, "Who are you?")]),
        Prompt.FromTokens([.. Enumerable.Range(300, 200)]),
    ];

    public void Dispose() => _model.Dispose();

    public static TheoryData<string> OptionNames() => [.. Options.Keys];

    private static Dictionary<string, GenerationOptions> Options { get; } = new()
    {
        ["greedy"] = new() { Temperature = 0, MaxNewTokens = 40 },
        ["sampled"] = new() { Temperature = 1.2, Seed = 5, MaxNewTokens = 30 },
        ["penalized, stopped"] = new() { Temperature = 0.9, Seed = 6, RepetitionPenalty = 1.2, StopStrings = ["e", "the"], MaxNewTokens = 50 },
        ["to the end of the context"] = new() { Temperature = 1.5, Seed = 7, IgnoreEndOfSequence = true, MaxNewTokens = 1000 },
        ["one token"] = new() { Temperature = 0, MaxNewTokens = 1 },
    };

    [Theory]
    [MemberData(nameof(OptionNames))]
    public void Answers_AreThoseOfLoneRuns(string name)
    {
        IReadOnlyList<GenerationResult> found = _model.GenerateBatch(Prompts, Options[name], TestContext.Current.CancellationToken);
        Assert.Equal(Prompts.Length, found.Count);
        for (int i = 0; i < found.Count; i++)
        {
            GenerationResult expected = _model.Generate(Prompts[i], Options[name], TestContext.Current.CancellationToken);
            Assert.Equal((expected.Text, expected.FinishReason, expected.PromptTokens), (found[i].Text, found[i].FinishReason, found[i].PromptTokens));
            Assert.Equal(expected.TokenIds, found[i].TokenIds);
            Assert.True(found[i].PrefillTime > TimeSpan.Zero);
        }
    }

    [Fact]
    public void NoPrompts_GiveNoAnswers() => Assert.Empty(_model.GenerateBatch([]));

    [Fact]
    public void WhatFails_KeepsNothing()
    {
        long before = AlignedBuffer.AllocatedBytes;
        Prompt tooLong = Prompt.FromTokens(new int[512]);
        Assert.Throws<ContextLengthExceededException>(() => _model.GenerateBatch([.. Prompts, tooLong]));
        Assert.Throws<ArgumentOutOfRangeException>(() => _model.GenerateBatch([.. Prompts, Prompt.FromTokens([-1])]));
        Assert.Throws<ArgumentNullException>(() => _model.GenerateBatch([.. Prompts, null!]));
        Assert.Throws<ArgumentNullException>(() => _model.GenerateBatch(null!));
        Assert.Throws<ArgumentOutOfRangeException>(() => _model.GenerateBatch(Prompts, new GenerationOptions { Temperature = -1 }));
        using CancellationTokenSource stop = new(20);
        Assert.ThrowsAny<OperationCanceledException>(() => _model.GenerateBatch(Prompts, new GenerationOptions { IgnoreEndOfSequence = true, MaxNewTokens = 400 }, stop.Token));
        Assert.Equal(before, AlignedBuffer.AllocatedBytes);
        _model.Dispose();
        Assert.Throws<ObjectDisposedException>(() => _model.GenerateBatch(Prompts));
    }
}
