using System.Collections.Concurrent;
using System.Text.Json;
using Microsoft.Playwright;

namespace Vicuna.Managed.Samples.Tests.Server;

/// <summary>The page as somebody who uses it sees it: found by labels and texts.</summary>
public sealed class ChatPage(IPage page) : IAsyncDisposable
{
    private readonly ConcurrentQueue<string> _complaints = [];
    private readonly ConcurrentQueue<string> _bodies = [];
    private readonly ConcurrentQueue<Uri> _requested = [];

    /// <summary>The browser's page.</summary>
    public IPage Browser => page;

    /// <summary>Where a message is written.</summary>
    public ILocator Message => page.GetByRole(AriaRole.Textbox, new() { Name = "Message", Exact = true });

    /// <summary>The button that ends an answer.</summary>
    public ILocator Stop => Button("Stop");

    /// <summary>The answers.</summary>
    public ILocator Answers => page.Locator(".answer .text");

    /// <summary>What stands below the answers.</summary>
    public ILocator Notes => page.Locator(".note");

    /// <summary>What went wrong.</summary>
    public ILocator Problem => page.Locator(".problem");

    /// <summary>Errors and warnings of the console, of scripts and of the content security policy.</summary>
    public IReadOnlyCollection<string> Complaints => _complaints;

    /// <summary>What was fetched, and from where.</summary>
    public IReadOnlyCollection<Uri> Requested => _requested;

    /// <summary>Bodies of the requests for answers.</summary>
    public IReadOnlyList<JsonElement> Requests => [.. _bodies.Select(body => JsonDocument.Parse(body).RootElement)];

    /// <summary>Goes there.</summary>
    public async Task OpenAsync(Uri url)
    {
        page.Console += (_, message) =>
        {
            if (message.Type is "error" or "warning")
            {
                _complaints.Enqueue(message.Text);
            }
        };
        page.PageError += (_, error) => _complaints.Enqueue(error);
        page.Request += (_, request) =>
        {
            _requested.Enqueue(new Uri(request.Url));
            if (request.PostData is { } body)
            {
                _bodies.Enqueue(body);
            }
        };
        await page.GotoAsync(url.AbsoluteUri);
        await Assertions.Expect(page.GetByRole(AriaRole.Heading, new() { Name = "pico-vicuna" })).ToBeVisibleAsync();
    }

    /// <summary>A button.</summary>
    public ILocator Button(string name) => page.GetByRole(AriaRole.Button, new() { Name = name, Exact = true });

    /// <summary>Asks by the keyboard.</summary>
    public async Task AskAsync(string question)
    {
        await Message.FillAsync(question);
        await Message.PressAsync("Enter");
    }

    /// <summary>Sets what is sent with every question.</summary>
    public async Task SetAsync(params (string Label, string Value)[] values)
    {
        await Button("Settings").ClickAsync();
        foreach ((string label, string value) in values)
        {
            await page.GetByLabel(label).FillAsync(value);
        }

        await Button("Save").ClickAsync();
        await Assertions.Expect(page.GetByRole(AriaRole.Dialog)).ToBeHiddenAsync();
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync() => await page.Context.DisposeAsync();
}
