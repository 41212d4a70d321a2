using Microsoft.Playwright;

namespace Vicuna.Managed.Samples.Tests.Server;

/// <summary>
/// One sample server and one headless browser for all tests of the page, which run one after the other when those of the other samples are done.
/// </summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class ChatPageFixture : ICollectionFixture<ChatPageFixture>, IAsyncLifetime
{
    /// <summary>The tests' collection.</summary>
    public const string Name = "Chat page";

    private const string Variable = "VICUNA_TEST_CHROMIUM";

    private const string NoBrowser = $"No Chromium found: install it (Debian: apt-get install chromium), or name its executable in {Variable}.";

    // Against hanging alone: nothing here takes as long.
    private const float Patience = 30_000;

    private static readonly string[] WellKnown =
    [
        "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome", "/snap/bin/chromium",
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome", "/Applications/Chromium.app/Contents/MacOS/Chromium",
        @"C:\Program Files\Google\Chrome\Application\chrome.exe", @"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
    ];

    private SampleServer? _server;
    private IPlaywright? _playwright;
    private IBrowser? _browser;

    /// <summary>Where the sample server listens.</summary>
    public Uri Url => _server!.Url;

    /// <inheritdoc/>
    public async ValueTask InitializeAsync()
    {
        string? path = Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } given ? given : WellKnown.FirstOrDefault(File.Exists);
        if (path is null)
        {
            return;
        }

        Assertions.SetDefaultExpectTimeout(Patience);
        try
        {
            _server = await SampleServer.StartAsync(TestContext.Current.CancellationToken);
            _playwright = await Playwright.CreateAsync();
            _browser = await _playwright.Chromium.LaunchAsync(new BrowserTypeLaunchOptions { ExecutablePath = path });
        }
        catch
        {
            await DisposeAsync();
            throw;
        }
    }

    /// <summary>A page with nothing remembered. Skips the test where there is no browser.</summary>
    public async Task<ChatPage> OpenAsync(Uri? url = null, BrowserNewContextOptions? options = null)
    {
        Assert.SkipWhen(_browser is null, NoBrowser);
        IBrowserContext context = await _browser!.NewContextAsync(options);
        ChatPage page = new(await context.NewPageAsync());
        await page.OpenAsync(url ?? Url);
        return page;
    }

    /// <summary>The sample server with answers that are held. Skips the test where there is no browser.</summary>
    internal async Task<HoldingProxy> StartProxyAsync()
    {
        Assert.SkipWhen(_server is null, NoBrowser);
        return await HoldingProxy.StartAsync(_server!.Url);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (_browser is not null)
        {
            await _browser.DisposeAsync();
        }

        _playwright?.Dispose();
        _server?.Dispose();
    }
}
