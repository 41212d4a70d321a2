using System.Text.RegularExpressions;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace Vicuna.Managed.Samples.Tests.Server;

/// <summary>The page on small screens, in the dark, for those who do not see it, and against those who would add to it.</summary>
[Collection(ChatPageFixture.Name)]
public sealed class ChatPageLayoutTests(ChatPageFixture fixture)
{
    private const string Widest = "document.documentElement.scrollWidth - document.documentElement.clientWidth";

    // Contrast of text and what is behind it (WCAG 2.2, 1.4.3): elements by selector, the ratio of each.
    private const string Contrast = """
        selector => [...document.querySelectorAll(selector)].filter(element => element.checkVisibility()).map(element => {
            const light = color => {
                const [r, g, b] = color.match(/[\d.]+/g).slice(0, 3)
                    .map(value => value / 255).map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            };
            let behind = element;
            while (getComputedStyle(behind).backgroundColor === 'rgba(0, 0, 0, 0)') { behind = behind.parentElement; }
            const pair = [light(getComputedStyle(element).color), light(getComputedStyle(behind).backgroundColor)].sort((a, b) => b - a);
            return (pair[0] + 0.05) / (pair[1] + 0.05);
        })
        """;

    [Theory]
    [InlineData(320)]
    [InlineData(390)]
    [InlineData(1280)]
    public async Task Page_IsAsWideAsTheScreen(int width)
    {
        await using ChatPage page = await fixture.OpenAsync(options: new() { ViewportSize = new ViewportSize { Width = width, Height = 640 } });
        await page.AskAsync(new string('w', 200));
        await Expect(page.Notes.Or(page.Problem).First).Not.ToBeEmptyAsync();
        Assert.Equal(0, await page.Browser.EvaluateAsync<int>(Widest));
        await page.Button("Settings").ClickAsync();
        Assert.Equal(0, await page.Browser.EvaluateAsync<int>(Widest));
        await Expect(page.Button("Save")).ToBeInViewportAsync();
        await Expect(page.Button("Reset")).ToBeInViewportAsync();
    }

    [Theory]
    [InlineData(ColorScheme.Light)]
    [InlineData(ColorScheme.Dark)]
    public async Task Texts_StandOut(ColorScheme scheme)
    {
        await using ChatPage page = await fixture.OpenAsync(options: new() { ColorScheme = scheme });
        Assert.All(await page.Browser.EvaluateAsync<double[]>(Contrast, "h1, h2, p, button"), ratio => Assert.InRange(ratio, 4.5, 21));
        await page.Browser.RouteAsync("**/v1/chat/completions", route => route.AbortAsync(), new() { Times = 1 });
        await page.AskAsync("What is 3 plus 4?");
        await Expect(page.Problem).Not.ToBeEmptyAsync();
        await page.AskAsync("What is 3 plus 4?");
        await Expect(page.Notes.Last).Not.ToBeEmptyAsync();
        await page.Button("Settings").ClickAsync();
        double[] ratios = await page.Browser.EvaluateAsync<double[]>(
            Contrast, ".text, .note, .problem strong, .problem p, dialog label, dialog small, dialog button, dialog p");
        Assert.True(ratios.Length > 10);
        Assert.All(ratios, ratio => Assert.InRange(ratio, 4.5, 21));
    }

    [Fact]
    public async Task Controls_HaveNames()
    {
        await using ChatPage page = await fixture.OpenAsync();
        await page.Button("Settings").ClickAsync();
        foreach (ILocator control in await page.Browser.Locator("button:visible, input:visible, textarea:visible").AllAsync())
        {
            await Expect(control).ToHaveAccessibleNameAsync(new Regex(@"\S"));
        }

        await page.Browser.Keyboard.PressAsync("Escape");
        await Expect(page.Browser.GetByRole(AriaRole.Dialog)).ToBeHiddenAsync();
        await Expect(page.Button("Settings")).ToBeFocusedAsync();
        await Expect(page.Message).ToHaveAccessibleDescriptionAsync(new Regex("Enter sends"));
    }

    [Fact]
    public async Task Policy_LetsNothingInFromOutside()
    {
        await using ChatPage page = await fixture.OpenAsync();
        IAPIResponse response = await page.Browser.APIRequest.GetAsync(fixture.Url.AbsoluteUri);
        string policy = response.Headers["content-security-policy"];
        Assert.StartsWith("default-src 'none';", policy, StringComparison.Ordinal);
        Assert.DoesNotContain("unsafe", policy, StringComparison.Ordinal);
        Assert.Equal("nosniff", response.Headers["x-content-type-options"]);

        // The browser holds to it: markup from text, and scripts within the page, do not get in.
        const string Insert = "() => { try { document.body.innerHTML = '<b>x</b>'; return 'set'; } catch (error) { return error.name; } }";
        Assert.Equal("TypeError", await page.Browser.EvaluateAsync<string>(Insert));
        Assert.Contains(page.Complaints, complaint => complaint.Contains("TrustedHTML", StringComparison.Ordinal));
    }

    [Fact]
    public async Task OtherHostNames_AreRefused()
    {
        await using ChatPage page = await fixture.OpenAsync();
        // What a page elsewhere gets whose name was made to lead to this machine.
        using HttpRequestMessage request = new(HttpMethod.Get, new Uri(fixture.Url, "v1/models")) { Headers = { Host = "example.com" } };
        using HttpClient client = new();
        using HttpResponseMessage response = await client.SendAsync(request, TestContext.Current.CancellationToken);
        Assert.Equal(System.Net.HttpStatusCode.BadRequest, response.StatusCode);
    }
}
