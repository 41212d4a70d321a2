using Microsoft.Extensions.AI;
using Vicuna.Managed.Extensions.AI.Tests.Support;

namespace Vicuna.Managed.Extensions.AI.Tests;

/// <summary>What becomes of messages, as the model's template gets them.</summary>
public sealed class ConversationTests
{
    [Fact]
    public async Task Instructions_ComeBeforeSystemMessages_WhereverTheseAre()
    {
        string seen = await SeenAsync(
            [
                new(ChatRole.System, "Second."),
                new(ChatRole.User, "Hello!"),
                new(new ChatRole("developer"), "Third."),
                new(ChatRole.Assistant, "Hi!"),
                new(ChatRole.User, "Bye!"),
            ],
            new ChatOptions { Instructions = "First." });
        Assert.Equal("System|First.\n\nSecond.\n\nThird.\nUser|Hello!\nAssistant|Hi!\nUser|Bye!", seen);
    }

    [Fact]
    public async Task Instructions_Alone_AreTheSystemMessage() =>
        Assert.Equal("System|Be brief.\nUser|Hello!", await SeenAsync([new(ChatRole.User, "Hello!")], new ChatOptions { Instructions = "Be brief." }));

    [Fact]
    public async Task Instructions_Missing_LeaveTheTemplateItsOwn() => Assert.Equal("User|Hello!", await SeenAsync([new(ChatRole.User, "Hello!")]));

    [Fact]
    public async Task History_AsAWhole_ReachesTheModel() => Assert.Equal(
        "User|1\nAssistant|2\nUser|3\nAssistant|4\nUser|5",
        await SeenAsync(
            [new(ChatRole.User, "1"), new(ChatRole.Assistant, "2"), new(ChatRole.User, "3"), new(ChatRole.Assistant, "4"), new(ChatRole.User, "5")]));

    [Fact]
    public async Task Messages_OfOneRole_AreOneTurn() => Assert.Equal(
        "User|a\n\nb\nAssistant|c\n\nd\nUser|e",
        await SeenAsync(
            [new(ChatRole.User, "a"), new(ChatRole.User, "b"), new(ChatRole.Assistant, "c"), new(ChatRole.Assistant, "d"), new(ChatRole.User, "e")]));

    [Fact]
    public async Task Contents_OfText_AreJoinedAsTheMessagesTextIs() =>
        Assert.Equal("User|Hello, world!", await SeenAsync([new(ChatRole.User, [new TextContent("Hello, "), new TextContent("world!")])]));

    [Fact]
    public async Task Reasoning_OfEarlierTurns_AndCounts_AreNotShownToTheModel() => Assert.Equal(
        "User|a\nAssistant|b\nUser|c",
        await SeenAsync(
        [
            new(ChatRole.User, "a"),
            new(ChatRole.Assistant, [new TextReasoningContent("secret")]),
            new(ChatRole.Assistant, [new TextReasoningContent("secret"), new TextContent("b"), new UsageContent(new UsageDetails())]),
            new(ChatRole.User, "c"),
        ]));

    [Fact]
    public async Task AuthorsAndProperties_AreHarmless() => Assert.Equal(
        "User|a",
        await SeenAsync(
            [new(ChatRole.User, "a") { AuthorName = "Ann", MessageId = "1", AdditionalProperties = new() { ["x"] = 1 }, RawRepresentation = new object() }]));

    public static TheoryData<AIContent> Others =>
    [
        new DataContent(new byte[] { 1 }, "image/png"),
        new UriContent("https://example.com/a.png", "image/png"),
        new HostedFileContent("file"),
        new ErrorContent("error"),
        new FunctionCallContent("1", "f"),
        new FunctionResultContent("1", "r"),
    ];

    [Theory]
    [MemberData(nameof(Others), DisableDiscoveryEnumeration = true)]
    public async Task Content_ThatTheModelCannotTake_IsRefusedByTypeAndPlace(AIContent content)
    {
        NotSupportedException error = await Assert.ThrowsAsync<NotSupportedException>(
            () => SeenAsync([new(ChatRole.User, [new TextContent("Look:"), content])]));
        Assert.Contains(content.GetType().Name, error.Message, StringComparison.Ordinal);
        Assert.Contains("messages[0].Contents[1]", error.Message, StringComparison.Ordinal);
    }

    public static TheoryData<string, ChatMessage[]> Wrong => new()
    {
        { "messages[0]", [] },
        { "messages[1]", [new(ChatRole.System, "a")] },
        { "messages[0]", [new(ChatRole.Assistant, "a"), new(ChatRole.User, "b")] },
        { "messages[2]", [new(ChatRole.User, "a"), new(ChatRole.Assistant, "b")] },
        { "'narrator'", [new(new ChatRole("narrator"), "a")] },
        { "messages[0]", [null!] },
    };

    [Theory]
    [MemberData(nameof(Wrong), DisableDiscoveryEnumeration = true)]
    public async Task Messages_OutOfOrder_AreRefusedByPlace(string place, ChatMessage[] messages)
    {
        ArgumentException error = await Assert.ThrowsAsync<ArgumentException>(() => SeenAsync(messages));
        Assert.Contains(place, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Messages_LongerThanTheContext_AreRefusedAsTheEngineDoes()
    {
        ContextLengthExceededException error = await Assert.ThrowsAsync<ContextLengthExceededException>(
            () => SeenAsync([new(ChatRole.User, string.Concat(Enumerable.Repeat("What is 3 plus 4? ", 200)))]));
        Assert.Equal(512, error.ContextLength);
        Assert.True(error.Tokens > 512);
    }

    private static async Task<string> SeenAsync(ChatMessage[] messages, ChatOptions? options = null)
    {
        (VicunaChatClient client, RecordingFormatter seen) = Pico.Recording(new VicunaChatClientOptions { DefaultMaxOutputTokens = 1 });
        using LanguageModel model = (LanguageModel)client.GetService(typeof(LanguageModel))!;
        using (client)
        {
            await client.GetResponseAsync(messages, options);
            return seen.Last;
        }
    }
}
