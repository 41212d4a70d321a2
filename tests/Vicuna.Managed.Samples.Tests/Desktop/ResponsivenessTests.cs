using DesktopSample.ViewModels;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Samples.Tests.Desktop;

/// <summary>The user interface's thread is left alone: by computing, by waiting, and by too many updates.</summary>
[Collection(ResponsivenessTests.Alone)]
public sealed class ResponsivenessTests(ITestOutputHelper output)
{
    /// <summary>Runs alone: garbage of other tests is not collected on the thread that is measured.</summary>
    public const string Alone = "Desktop, alone";

    // A frame of a screen that is drawn 60 times a second.
    private static readonly TimeSpan Frame = TimeSpan.FromMilliseconds(16);

    [Fact]
    public async Task NoCallback_TakesAFrameOfProcessorTime()
    {
        Assert.SkipUnless(UiThread.MeasuresCpuTime, "Processor time of a thread is measured on Linux alone.");
        using TempFolder folder = new();

        // Once for the compiler, which translates what is called for the first time, on the thread that calls it.
        await DesktopHost.RunAsync(UseEverything, folder);
        UiThread? ui = null;
        await DesktopHost.RunAsync(
            host =>
            {
                ui = host.Ui;
                return UseEverything(host);
            },
            folder);

        (TimeSpan Cpu, bool WithCollection)[] callbacks = [.. ui!.Callbacks];
        TimeSpan longest = callbacks.Where(callback => !callback.WithCollection).Max(callback => callback.Cpu);
        output.WriteLine(
            $"{callbacks.Length} callbacks, {callbacks.Count(callback => callback.WithCollection)} with garbage collections, the longest other one took "
            + $"{longest.TotalMilliseconds:0.00} ms of processor time.");
        Assert.InRange(callbacks.Length, 20, int.MaxValue);
        Assert.True(longest < Frame, $"{longest.TotalMilliseconds:0.00} ms");
    }

    [Fact]
    public Task FastModel_ChangesTheTextSeldom() => WithFrozenClock(async (host, _) =>
    {
        await host.Main.StartAsync();
        (host.Main.Settings.Temperature, host.Main.Settings.MaxNewTokens) = (0, 150);
        MessageViewModel answer = await host.AskAsync("Tell me a story about a cat.");

        // By the clock, no time has passed: there is the first update, and the end.
        Assert.True(host.Main.Selected.Tokens > 40, $"{host.Main.Selected.Tokens} tokens");
        Assert.InRange(host.Changes.Count(nameof(MessageViewModel), nameof(MessageViewModel.Text)), 1, 2);
        Assert.InRange(answer.Text.Length, 100, 2000);
    });

    [Fact]
    public async Task Updates_ComeOncePerInterval_OneAtATime_AndTheLastOneAlways()
    {
        using UiThread ui = new();
        ManualTime time = new();
        int value = 0;
        List<int> shown = [];
        using ManualResetEventSlim busy = new();
        LatestOnUi<int>? latest = null;
        await ui.RunAsync(() =>
        {
            latest = new LatestOnUi<int>(ui, time, () => Volatile.Read(ref value), shown.Add);
            return Task.CompletedTask;
        });

        Set(1);
        await UntilOnUi(() => shown is [1]);
        Set(2);
        Set(3);
        time.Advance(LatestOnUi<int>.Interval - TimeSpan.FromMilliseconds(1));
        await ui.RunAsync(() => Task.CompletedTask);
        Assert.Equal([1], shown);
        time.Advance(TimeSpan.FromMilliseconds(1));
        await UntilOnUi(() => shown is [1, 3]);

        // The thread is busy for a while: one update waits for it, however many there were.
        ui.Post(_ => busy.Wait(), null);
        int posted = ui.Posted;
        for (int i = 4; i < 200; i++)
        {
            Set(i);
            time.Advance(LatestOnUi<int>.Interval);
        }

        Assert.InRange(ui.Posted - posted, 0, 1);
        busy.Set();
        time.Advance(LatestOnUi<int>.Interval);
        await UntilOnUi(() =>
        {
            time.Advance(LatestOnUi<int>.Interval);
            return shown[^1] == 199;
        });
        Assert.InRange(shown.Count, 3, 4);

        await ui.RunAsync(() =>
        {
            Set(200);
            latest!.Dispose();
            return Task.CompletedTask;
        });
        time.Advance(LatestOnUi<int>.Interval);
        await ui.RunAsync(() => Task.CompletedTask);
        Assert.DoesNotContain(200, shown);

        void Set(int next)
        {
            Volatile.Write(ref value, next);
            latest!.Changed();
        }

        Task UntilOnUi(Func<bool> condition) => ui.RunAsync(() => DesktopHost.Until(condition));
    }

    // The tests above mean something only if the thread notices what they say does not happen.
    [Fact]
    public async Task Watch_NoticesWaits_Work_AndChangesElsewhere()
    {
        using UiThread ui = new();
        await ui.RunAsync(() => Task.FromResult(Task.Delay(Timeout.Infinite).Wait(50)));
        Assert.NotEmpty(ui.Waits);

        ui.Waits.Clear();
        using EventWaitHandle never = new(false, EventResetMode.ManualReset);
        await ui.RunAsync(() => Task.FromResult(never.WaitOne(1)));
        Assert.NotEmpty(ui.Waits);

        if (UiThread.MeasuresCpuTime)
        {
            await ui.RunAsync(() =>
            {
                uint work = 1;
                for (int i = 0; i < 300_000_000; i++)
                {
                    work = (work * 1664525) + 1013904223;
                }

                Assert.NotEqual(0u, work | 1);
                return Task.CompletedTask;
            });
            await ui.RunAsync(() => Task.CompletedTask);
            Assert.Contains(ui.Callbacks, callback => callback.Cpu > Frame);
        }

        ChangeRecorder changes = new(ui);
        MessageViewModel message = new(isUser: true, "here");
        changes.Listen(message);
        message.Text = "from a test's thread";
        Assert.Single(changes.OffThread);
    }

    private static Task WithFrozenClock(Func<DesktopHost, ManualTime, Task> body)
    {
        ManualTime time = new();
        return DesktopHost.RunAsync(host => body(host, time), options: options => options with { Time = time });
    }

    private static async Task UseEverything(DesktopHost host)
    {
        MainViewModel main = host.Main;
        await main.StartAsync();
        (main.Settings.Temperature, main.Settings.MaxNewTokens, main.Settings.SystemText) = (0, 300, "Be brief.");
        await host.AskAsync("Tell me a story about a cat.");
        await host.AskAsync("What is 3 plus 4?");
        main.NewConversationCommand.Execute(null);
        main.Selected.Draft = "Tell me a story about a dog.";
        Task sending = main.Selected.SendCommand.ExecuteAsync(null);
        await DesktopHost.Until(() => main.Selected.Tokens > 0 || sending.IsCompleted);
        main.Selected.StopCommand.Execute(null);
        await sending;
        main.Settings.TopP = 2;
        main.Settings.TopP = null;
        await main.Model.LoadCommand.ExecuteAsync("no-such-model");
        await main.Model.LoadCommand.ExecuteAsync(null);
        await main.DeleteConversationCommand.ExecuteAsync(null);
        await DesktopHost.Until(() => main.Memory.ProcessBytes > 0);
    }
}
