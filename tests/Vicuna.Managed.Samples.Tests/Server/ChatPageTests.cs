using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace Vicuna.Managed.Samples.Tests.Server;

/// <summary>The sample's chat page in a browser, over its server and the embedded model.</summary>
[Collection(ChatPageFixture.Name)]
public sealed partial class ChatPageTests(ChatPageFixture fixture)
{
    private const string Question = "What is 3 plus 4?";
    private const string Answer = "Three plus four is seven.";

    [Fact]
    public async Task Question_IsAnswered_WithSpeedBelow()
    {
        await using ChatPage page = await fixture.OpenAsync();
        await page.SetAsync(("Temperature", "0"));
        await page.AskAsync(Question);
        await Expect(page.Answers).ToHaveTextAsync(Answer);
        await Expect(page.Notes).ToHaveTextAsync(NotePattern());
        await Expect(page.Message).ToBeFocusedAsync();
        await Expect(page.Message).ToHaveValueAsync(string.Empty);
        await Expect(page.Browser.GetByRole(AriaRole.Status)).ToHaveTextAsync(Answer);
        Assert.Empty(page.Complaints);
        Assert.All(page.Requested, url => Assert.Equal(fixture.Url.Authority, url.Authority));
    }

    [Fact]
    public async Task Answer_WhileItIsMade_ArrivesPieceByPiece()
    {
        await using HoldingProxy proxy = await fixture.StartProxyAsync();
        await using ChatPage page = await fixture.OpenAsync(proxy.Url);
        await page.SetAsync(("Temperature", "0"));
        await page.AskAsync(Question);
        // No whole answer, but its beginning.
        await Expect(page.Answers).ToHaveTextAsync(BeginningPattern());
        await Expect(page.Stop).ToBeVisibleAsync();
        await Expect(page.Button("Send")).ToBeHiddenAsync();
        proxy.GoOn();
        await Expect(page.Answers).ToHaveTextAsync(Answer);
        await Expect(page.Stop).ToBeHiddenAsync();
    }

    [Fact]
    public async Task Stop_KeepsThePartialAnswer_AndEndsTheRequest()
    {
        await using HoldingProxy proxy = await fixture.StartProxyAsync();
        await using ChatPage page = await fixture.OpenAsync(proxy.Url);
        await page.SetAsync(("Max tokens", "400"), ("Temperature", "0"));
        await page.AskAsync("Tell me a story about a cat.");
        await Expect(page.Answers).Not.ToBeEmptyAsync();
        await page.Stop.ClickAsync();
        await Expect(page.Notes).ToHaveTextAsync(StoppedPattern());
        await proxy.ClientLeft.WaitAsync(TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken);
        string partial = (await page.Answers.TextContentAsync())!;
        Assert.NotEmpty(partial);
        await Expect(page.Problem).ToBeEmptyAsync();
        await Expect(page.Message).ToBeFocusedAsync();

        proxy.GoOn();
        // What was said is part of the conversation that goes on.
        await page.AskAsync(Question);
        await Expect(page.Notes.Last).Not.ToBeEmptyAsync();
        await Expect(page.Answers.First).ToHaveTextAsync(partial);
        JsonElement messages = page.Requests[^1].GetProperty("messages");
        Assert.Equal(["user", "assistant", "user"], RolesOf(messages));
        Assert.Equal(partial, messages[1].GetProperty("content").GetString());
    }

    [Fact]
    public async Task Settings_AreSentAndRemembered()
    {
        await using ChatPage page = await fixture.OpenAsync();
        await page.AskAsync(Question);
        await Expect(page.Notes).Not.ToBeEmptyAsync();
        Assert.False(page.Requests[0].TryGetProperty("temperature", out _));

        await page.SetAsync(("System prompt", "Be brief."), ("Temperature", "0.25"), ("Top-p", "0.5"), ("Max tokens", "3"), ("Seed", "42"));
        await page.Browser.ReloadAsync();
        await page.Button("New chat").ClickAsync();
        await page.AskAsync(Question);
        await Expect(page.Notes).ToContainTextAsync("3 tokens");
        await Expect(page.Notes).ToContainTextAsync("cut off");
        JsonElement request = page.Requests[^1];
        Assert.Equal(0.25, request.GetProperty("temperature").GetDouble());
        Assert.Equal(0.5, request.GetProperty("top_p").GetDouble());
        Assert.Equal(3, request.GetProperty("max_tokens").GetInt32());
        Assert.Equal(42, request.GetProperty("seed").GetInt64());
        Assert.Equal(["system", "user"], RolesOf(request.GetProperty("messages")));
        Assert.Equal("Be brief.", request.GetProperty("messages")[0].GetProperty("content").GetString());
    }

    [Fact]
    public async Task Settings_OutOfRange_AreNotSaved()
    {
        await using ChatPage page = await fixture.OpenAsync();
        await page.Button("Settings").ClickAsync();
        ILocator temperature = page.Browser.GetByLabel("Temperature");
        await temperature.FillAsync("2.5");
        await page.Button("Save").ClickAsync();
        await Expect(page.Browser.GetByRole(AriaRole.Dialog)).ToBeVisibleAsync();
        await temperature.FillAsync("1.5");
        await page.Button("Cancel").ClickAsync();
        await page.Button("Settings").ClickAsync();
        await Expect(temperature).ToHaveValueAsync(string.Empty);
    }

    [Fact]
    public async Task Html_InQuestions_IsText()
    {
        const string Attack = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script><b>bold</b>";
        await using ChatPage page = await fixture.OpenAsync();
        await page.AskAsync(Attack);
        await Expect(page.Notes.Or(page.Problem).First).Not.ToBeEmptyAsync();
        await Expect(page.Browser.Locator(".question .text")).ToHaveTextAsync(Attack);
        await Expect(page.Browser.Locator("main img, main script, main b")).ToHaveCountAsync(0);
        await page.Browser.ReloadAsync();
        await Expect(page.Browser.Locator(".question .text")).ToHaveTextAsync(Attack);
        await Expect(page.Browser.Locator("main img, main script, main b")).ToHaveCountAsync(0);
        await Expect(page.Browser).ToHaveTitleAsync("pico-vicuna");
    }

    [Fact]
    public async Task Html_InAnswers_IsText()
    {
        const string Attack = "<img src=x onerror=\"document.title='owned'\">";
        await using ChatPage page = await fixture.OpenAsync();
        string piece = JsonSerializer.Serialize(new { choices = new[] { new { delta = new { content = Attack }, finish_reason = "stop" } } });
        await page.Browser.RouteAsync("**/v1/chat/completions", route => route.FulfillAsync(new()
        {
            ContentType = "text/event-stream",
            Body = $"data: {piece}\n\ndata: [DONE]\n\n",
        }));
        await page.AskAsync(Question);
        await Expect(page.Answers).ToHaveTextAsync(Attack);
        await Expect(page.Browser.Locator("main img")).ToHaveCountAsync(0);
        await Expect(page.Browser).ToHaveTitleAsync("pico-vicuna");
    }

    [Theory]
    [InlineData(429, "queue_full", "The server is busy.")]
    [InlineData(503, "shutting_down", "The server is busy.")]
    [InlineData(503, "model_loading", "The model is still being loaded.")]
    public async Task Refusal_IsShown_AndCanBeTriedAgain(int status, string code, string title)
    {
        await using ChatPage page = await fixture.OpenAsync();
        await page.SetAsync(("Temperature", "0"));
        await page.Browser.RouteAsync(
            "**/v1/chat/completions",
            route => route.FulfillAsync(new()
            {
                Status = status,
                ContentType = "application/json",
                Headers = new Dictionary<string, string> { ["Retry-After"] = "7" },
                Body = JsonSerializer.Serialize(new { error = new { message = "16 requests wait already.", type = "rate_limit_error", code } }),
            }),
            new() { Times = 1 });
        await page.AskAsync(Question);
        await Expect(page.Problem).ToContainTextAsync(title);
        await Expect(page.Problem).ToContainTextAsync("7 s");
        await Expect(page.Browser.GetByRole(AriaRole.Status)).ToContainTextAsync(title);
        await page.Button("Try again").ClickAsync();
        await Expect(page.Answers).ToHaveTextAsync(Answer);
        await Expect(page.Problem).ToBeEmptyAsync();
        await Expect(page.Answers).ToHaveCountAsync(1);
    }

    [Fact]
    public async Task LostConnection_KeepsThePartialAnswer_AndCanBeTriedAgain()
    {
        await using HoldingProxy proxy = await fixture.StartProxyAsync();
        await using ChatPage page = await fixture.OpenAsync(proxy.Url);
        await page.SetAsync(("Temperature", "0"));
        await page.AskAsync(Question);
        await Expect(page.Answers).ToHaveTextAsync(BeginningPattern());
        proxy.Break();
        await Expect(page.Problem).ToContainTextAsync("The connection was lost.");
        await Expect(page.Answers).ToHaveTextAsync(BeginningPattern());
        proxy.GoOn();
        await page.Button("Try again").ClickAsync();
        await Expect(page.Answers).ToHaveTextAsync(Answer);
    }

    [Fact]
    public async Task NoServer_IsShown()
    {
        await using ChatPage page = await fixture.OpenAsync();
        await page.Browser.RouteAsync("**/v1/chat/completions", route => route.AbortAsync("connectionrefused"));
        await page.AskAsync(Question);
        await Expect(page.Problem).ToContainTextAsync("The server cannot be reached.");
        await Expect(page.Button("Try again")).ToBeVisibleAsync();
    }

    [Fact]
    public async Task ErrorWithinAnAnswer_IsShown()
    {
        await using ChatPage page = await fixture.OpenAsync();
        await page.Browser.RouteAsync("**/v1/chat/completions", route => route.FulfillAsync(new()
        {
            ContentType = "text/event-stream",
            Body = """
                data: {"choices":[{"delta":{"content":"Three"},"finish_reason":null}]}

                data: {"error":{"message":"The server failed to answer the request; see its log.","code":"internal_error"}}


                """.ReplaceLineEndings("\r\n"),
        }));
        await page.AskAsync(Question);
        await Expect(page.Answers).ToHaveTextAsync("Three");
        await Expect(page.Problem).ToContainTextAsync("see its log");
    }

    [Fact]
    public async Task Conversation_TooLongForTheModel_OffersANewOne()
    {
        await using ChatPage page = await fixture.OpenAsync();
        await page.AskAsync(string.Concat(Enumerable.Repeat("What is three plus four? ", 100)));
        await Expect(page.Problem).ToContainTextAsync("too long");
        await page.Problem.GetByRole(AriaRole.Button, new() { Name = "New chat" }).ClickAsync();
        await Expect(page.Answers).ToHaveCountAsync(0);
        await Expect(page.Browser.GetByText("What would you like to know?")).ToBeVisibleAsync();
        await Expect(page.Message).ToBeFocusedAsync();
    }

    [Fact]
    public async Task Conversation_GoesOn_OutlivesReload_AndIsClearedByNewChat()
    {
        await using ChatPage page = await fixture.OpenAsync();
        await page.SetAsync(("Temperature", "0"));
        await page.Button(Question).ClickAsync();
        await Expect(page.Answers).ToHaveTextAsync(Answer);
        await page.Browser.ReloadAsync();
        await Expect(page.Answers).ToHaveTextAsync(Answer);
        await Expect(page.Notes).ToHaveTextAsync(NotePattern());
        await page.AskAsync("What is 2 plus 5?");
        await Expect(page.Notes.Last).Not.ToBeEmptyAsync();
        JsonElement messages = page.Requests[^1].GetProperty("messages");
        Assert.Equal(["user", "assistant", "user"], RolesOf(messages));
        Assert.Equal(Answer, messages[1].GetProperty("content").GetString());

        await page.Button("New chat").ClickAsync();
        await Expect(page.Answers).ToHaveCountAsync(0);
        await page.AskAsync(Question);
        await Expect(page.Answers).ToHaveTextAsync(Answer);
        Assert.Equal(["user"], RolesOf(page.Requests[^1].GetProperty("messages")));
    }

    [Fact]
    public async Task NewChat_WhileAnAnswerIsMade_EndsIt()
    {
        await using HoldingProxy proxy = await fixture.StartProxyAsync();
        await using ChatPage page = await fixture.OpenAsync(proxy.Url);
        await page.AskAsync("Tell me a story about a cat.");
        await Expect(page.Answers).Not.ToBeEmptyAsync();
        await page.Button("New chat").ClickAsync();
        await proxy.ClientLeft.WaitAsync(TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken);
        await Expect(page.Answers).ToHaveCountAsync(0);
        await Expect(page.Button("Send")).ToBeVisibleAsync();
        Assert.Empty(page.Complaints);
    }

    [Fact]
    public async Task ShiftEnter_StartsANewLine_AndSpaceAloneIsNotSent()
    {
        await using ChatPage page = await fixture.OpenAsync();
        await page.AskAsync("   ");
        await page.Message.FillAsync("one");
        await page.Message.PressAsync("Shift+Enter");
        await page.Message.PressSequentiallyAsync("two");
        await Expect(page.Message).ToHaveValueAsync("one\ntwo");
        Assert.Empty(page.Requests);
        await page.Message.PressAsync("Enter");
        await Expect(page.Notes).Not.ToBeEmptyAsync();
        Assert.Equal("one\ntwo", page.Requests[0].GetProperty("messages")[0].GetProperty("content").GetString());
    }

    private static string[] RolesOf(JsonElement messages) => [.. messages.EnumerateArray().Select(message => message.GetProperty("role").GetString()!)];

    [GeneratedRegex(@"^\d+ tokens\s· [\d.]+ tokens/s\s· first token after [\d.]+ m?s$")]
    private static partial Regex NotePattern();

    [GeneratedRegex(@"^about \d+ tokens?.*\s· first token after [\d.]+ m?s\s· stopped$")]
    private static partial Regex StoppedPattern();

    [GeneratedRegex("^Three(?!.*seven)")]
    private static partial Regex BeginningPattern();
}
