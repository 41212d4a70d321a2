using DesktopSample.ViewModels;
using Vicuna.Managed.Checkpoints;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Samples.Tests.Desktop;

/// <summary>Loading models: progress, stopping, failing, replacing.</summary>
public sealed class ModelTests
{
    [Fact]
    public Task EmbeddedModel_Loads_AndTellsWhatItIs() => DesktopHost.RunAsync(async host =>
    {
        ModelViewModel model = host.Main.Model;
        Assert.Equal((ModelState.None, "No model"), (model.State, model.StatusText));
        Assert.False(model.UnloadCommand.CanExecute(null));
        await host.Main.StartAsync();
        Assert.Equal((ModelState.Ready, ModelLoading.EmbeddedName, 512), (model.State, model.Name, model.ContextLength));
        Assert.InRange(model.ParameterCount, 1_500_000, 3_000_000);
        Assert.InRange(model.EstimatedBytes, 4L << 20, 1L << 30);
        Assert.StartsWith("pico-vicuna, 2.", model.StatusText, StringComparison.Ordinal);
        await DesktopHost.Until(() => host.Main.Memory is { ProcessBytes: > 0, KeyValueCapacityBytes: > 0 });

        await model.UnloadCommand.ExecuteAsync(null);
        Assert.Equal((ModelState.None, string.Empty, 0L), (model.State, model.Name, model.ParameterCount));
    });

    [Fact]
    public async Task Quantization_OfTheSettings_IsUsed_AndLowersTheEstimate()
    {
        using TempFolder folder = new();
        SyntheticCheckpoint.Write("tiny", folder.File("tiny"));
        await DesktopHost.RunAsync(async host =>
        {
            await host.Main.Model.LoadCommand.ExecuteAsync(folder.File("tiny"));
            long asStored = host.Main.Model.EstimatedBytes;
            host.Main.Settings.Quantization = Quantization.Q4;
            await host.Main.Model.LoadCommand.ExecuteAsync(folder.File("tiny"));
            Assert.InRange(host.Main.Model.EstimatedBytes, 1, asStored - 1);
            Assert.Equal(Quantization.Q4, host.Main.Model.Engine!.Model.Quantization);
            Assert.Equal(1, host.Main.Model.Progress);
        });
    }

    // The loading thread is held at its first report, so that what is seen before and after it is certain.
    [Fact]
    public async Task Loading_ShowsProgress_AndCanBeStopped()
    {
        using TempFolder folder = new();
        SyntheticCheckpoint.Write("tiny", folder.File("tiny"));
        using ManualResetEventSlim goOn = new();
        ModelLoader held = (path, options, stop) => ModelLoading.Load(path, options with { Progress = new HeldProgress(options.Progress!, goOn) }, stop);
        await DesktopHost.RunAsync(
            async host =>
            {
                ModelViewModel model = host.Main.Model;
                host.Main.Settings.Quantization = Quantization.Q8;
                Task loading = model.LoadCommand.ExecuteAsync(folder.File("tiny"));
                Assert.True(model.IsLoading);
                Assert.False(model.LoadCommand.CanExecute(null));
                await DesktopHost.Until(() => model.Progress > 0);
                Assert.Matches(@"^Loading tiny: \d.* MB of \d.* MB$", model.StatusText);
                Assert.True(model.EstimatedBytes > 0);
                model.CancelLoadCommand.Execute(null);
                goOn.Set();
                await loading;
                Assert.Equal((ModelState.None, string.Empty, null), (model.State, model.Name, model.Error));

                await model.LoadCommand.ExecuteAsync(folder.File("tiny"));
                Assert.Equal((ModelState.Ready, "tiny"), (model.State, model.Name));
            },
            options: options => options with { Loader = held });
    }

    [Fact]
    public Task LeavingWhileLoading_StopsIt()
    {
        TaskCompletionSource begun = new();
        ModelLoader endless = async (_, _, stop) =>
        {
            begun.SetResult();
            await Task.Delay(Timeout.Infinite, stop);
            throw new InvalidOperationException("Not reached.");
        };
        return DesktopHost.RunAsync(
            async host =>
            {
                Task start = host.Main.StartAsync();
                await begun.Task;
                await host.Main.DisposeAsync();
                await start;
                Assert.Equal(ModelState.None, host.Main.Model.State);
            },
            options: options => options with { Loader = endless });
    }

    [Fact]
    public Task WrongPath_IsAnErrorInWords_AndCostsNothing() => DesktopHost.RunAsync(async host =>
    {
        ModelViewModel model = host.Main.Model;
        await host.Main.StartAsync("no-such-model");
        Assert.Equal(ModelState.Failed, model.State);
        Assert.Matches("^no-such-model could not be loaded. Not found: .*no-such-model", model.Error);
        Assert.Equal("no-such-model could not be loaded", model.StatusText);

        await model.LoadCommand.ExecuteAsync(null);
        Assert.Equal((ModelState.Ready, null), (model.State, model.Error));

        await model.LoadCommand.ExecuteAsync("no-such-model");
        Assert.Equal((ModelState.Ready, ModelLoading.EmbeddedName), (model.State, model.Name));
        Assert.NotNull(model.Error);
        host.Main.DismissErrorsCommand.Execute(null);
        Assert.Null(model.Error);
        Assert.NotEmpty((await host.AskAsync("What is 3 plus 4?")).Text);
    });

    [Fact]
    public async Task DamagedFile_IsAnErrorInWords()
    {
        using TempFolder folder = new();
        string file = folder.Write("broken.gguf", "GGUF, but not really");
        await DesktopHost.RunAsync(async host =>
        {
            await host.Main.StartAsync(file);
            Assert.Equal(ModelState.Failed, host.Main.Model.State);
            Assert.StartsWith("broken.gguf could not be loaded. ", host.Main.Model.Error, StringComparison.Ordinal);
        });
    }

    [Fact]
    public async Task ReplacedModel_EndsItsAnswers_AndTheNewOneAnswers()
    {
        using TempFolder folder = new();
        DesktopHost.WriteTalkativeModel(folder.File("tiny"));
        await DesktopHost.RunAsync(async host =>
        {
            await host.Main.StartAsync(folder.File("tiny"));
            (host.Main.Settings.Temperature, host.Main.Settings.MaxNewTokens) = (0, 100_000);
            ConversationViewModel conversation = host.Main.Selected;
            conversation.Draft = "Hello";
            Task sending = conversation.SendCommand.ExecuteAsync(null);
            await DesktopHost.Until(() => conversation.Tokens > 3);
            await host.Main.Model.LoadCommand.ExecuteAsync(string.Empty);
            await sending;
            Assert.StartsWith("The model was unloaded.", conversation.Messages[1].Note, StringComparison.Ordinal);

            host.Main.NewConversationCommand.Execute(null);
            (host.Main.Settings.Temperature, host.Main.Settings.MaxNewTokens) = (0, null);
            Assert.Equal("Three plus four is seven.", (await host.AskAsync("What is 3 plus 4?")).Text);
        });
    }

    [Fact]
    public void ThreadWithoutContext_IsRefused()
    {
        SynchronizationContext.SetSynchronizationContext(null);
        Assert.Throws<InvalidOperationException>(() => new MainViewModel(new DesktopOptions { UserFolder = "never-made" }));
    }

    private sealed class HeldProgress(IProgress<LoadProgress> inner, ManualResetEventSlim goOn) : IProgress<LoadProgress>
    {
        public void Report(LoadProgress value)
        {
            inner.Report(value);
            if (value.BytesDone > 0)
            {
                goOn.Wait();
            }
        }
    }
}
