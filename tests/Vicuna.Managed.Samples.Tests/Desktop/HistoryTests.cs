using System.Diagnostics;
using DesktopSample.ViewModels;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Samples.Tests.Desktop;

/// <summary>Conversations and settings on the disk.</summary>
public sealed class HistoryTests
{
    [Fact]
    public async Task Conversations_AreThereAgain_TheNewestFirst_AndGoOn()
    {
        using TempFolder folder = new();
        await DesktopHost.RunAsync(
            async host =>
            {
                await host.Main.StartAsync();
                host.Main.Settings.Temperature = 0;
                await host.AskAsync("What is 3 plus 4?");
                host.Main.NewConversationCommand.Execute(null);
                await host.AskAsync("What sound does a frog make?");
                Assert.Equal(2, host.Main.Conversations.Count);
            },
            folder);

        await DesktopHost.RunAsync(
            async host =>
            {
                await host.Main.StartAsync();
                Assert.Equal(
                    [ConversationViewModel.NewTitle, "What sound does a frog make?", "What is 3 plus 4?"], host.Main.Conversations.Select(one => one.Title));
                Assert.Equal(0, host.Main.Settings.Temperature);
                host.Main.Selected = host.Main.Conversations[2];
                Assert.Equal(["What is 3 plus 4?", "Three plus four is seven."], host.Main.Selected.Messages.Select(message => message.Text));
                Assert.Contains("tokens/s", host.Main.Selected.Messages[1].Note, StringComparison.Ordinal);
                await host.AskAsync("What is 3 plus 4?");
                Assert.Equal(4, host.Main.Selected.Messages.Count);
                Assert.Null(host.Main.Error);
            },
            folder);
        Assert.Equal(2, Directory.GetFiles(folder.File("conversations")).Length);
    }

    [Fact]
    public Task New_IsTheEmptyOne_Delete_SelectsANeighbor_AndRemovesTheFile() => DesktopHost.RunAsync(async host =>
    {
        MainViewModel main = host.Main;
        await main.StartAsync();
        main.NewConversationCommand.Execute(null);
        Assert.Single(main.Conversations);
        await host.AskAsync("What is 3 plus 4?");
        ConversationViewModel old = main.Selected;
        Assert.Single(Directory.GetFiles(host.Conversations));
        main.NewConversationCommand.Execute(null);
        Assert.Equal(2, main.Conversations.Count);
        Assert.Same(main.Conversations[0], main.Selected);

        await main.DeleteConversationCommand.ExecuteAsync(null);
        Assert.Same(old, main.Selected);
        main.Selected = null!;
        Assert.Same(old, main.Selected);

        await main.DeleteConversationCommand.ExecuteAsync(old);
        Assert.NotSame(old, Assert.Single(main.Conversations));
        Assert.Same(main.Conversations[0], main.Selected);
        Assert.Empty(Directory.GetFiles(host.Conversations));
    });

    [Fact]
    public Task DeletedWhileAnswering_IsNotWrittenAgain() => DesktopHost.RunAsync(async host =>
    {
        await host.Main.StartAsync();
        await host.AskAsync("What is 3 plus 4?");
        ConversationViewModel conversation = host.Main.Selected;
        conversation.Draft = "Tell me a story about a cat.";
        Task sending = conversation.SendCommand.ExecuteAsync(null);
        await host.Main.DeleteConversationCommand.ExecuteAsync(conversation);
        await sending;
        Assert.Empty(Directory.GetFiles(host.Conversations));
    });

    [Theory]
    [InlineData("{", "")]
    [InlineData("null", "found null")]
    [InlineData("""{"version":2,"id":"ID","title":"t","updated":"2026-01-01T00:00:00Z","messages":[]}""", "expected version 1, found 2")]
    [InlineData("""{"version":1,"id":"ID","title":"t","updated":"2026-01-01","messages":[{"isUser":true,"text":"a","note":null}]}""", "in pairs, found 1")]
    [InlineData("""{"version":1,"id":"ID","title":null,"updated":"2026-01-01T00:00:00Z","messages":[]}""", "title")]
    [InlineData("""{"version":1,"id":"5c6a4a0e-3f0f-4d5f-8f5c-000000000000","title":"t","updated":"2026-01-01T00:00:00Z","messages":[]}""", "another id")]
    public async Task DamagedFile_IsSaid_AndLeftAlone(string content, string expected)
    {
        using TempFolder folder = new();
        Guid id = Guid.NewGuid();
        string name = Path.Combine("conversations", $"{id}.json");
        Directory.CreateDirectory(folder.File("conversations"));
        folder.Write(name, content.Replace("ID", id.ToString(), StringComparison.Ordinal));
        folder.Write(Path.Combine("conversations", $"{id}.json.unfinished"), "cut sho");
        await DesktopHost.RunAsync(
            async host =>
            {
                await host.Main.StartAsync();
                Assert.Single(host.Main.Conversations);
                Assert.Contains($"{id}.json", host.Main.Error, StringComparison.Ordinal);
                Assert.Contains(expected, host.Main.Error, StringComparison.Ordinal);
            },
            folder);
        Assert.True(File.Exists(folder.File(name)));
    }

    [Fact]
    public async Task FolderThatCannotBeWritten_IsAnErrorInWords_AndAnswersGoOn()
    {
        using TempFolder folder = new();
        folder.Write("conversations", "a file where a folder should be");
        Directory.CreateDirectory(folder.File("settings.json.unfinished"));
        await DesktopHost.RunAsync(
            async host =>
            {
                await host.Main.StartAsync();
                host.Main.Settings.Temperature = 0;
                Assert.Equal("Three plus four is seven.", (await host.AskAsync("What is 3 plus 4?")).Text);
                Assert.StartsWith("The conversation could not be saved: ", host.Main.Selected.Error, StringComparison.Ordinal);
                await DesktopHost.Until(() => host.Main.Settings.Error is not null);
                Assert.StartsWith("The settings could not be saved: ", host.Main.Settings.Error, StringComparison.Ordinal);
            },
            folder);
    }

    // A named pipe that nobody writes to is a disk that hangs: it keeps whoever opens it until there is a writer.
    [Fact]
    public async Task DiskThatHangs_DoesNotKeepTheUserWaiting()
    {
        using TempFolder folder = new();
        string pipe = folder.File("settings.json");
        Assert.SkipUnless(OperatingSystem.IsLinux() && MakePipe(pipe), "Needs named pipes.");
        Directory.CreateDirectory(folder.File("conversations"));
        string conversation = folder.File(Path.Combine("conversations", $"{Guid.NewGuid()}.json"));
        MakePipe(conversation);
        await DesktopHost.RunAsync(
            async host =>
            {
                Task start = host.Main.StartAsync();
                await host.Main.Model.LoadCommand.ExecuteAsync(null);
                Assert.NotEmpty((await host.AskAsync("What is 3 plus 4?")).Text);
                Assert.False(start.IsCompleted);

                await Task.Run(() => File.WriteAllText(pipe, """{"temperature":0.25,"maxNewTokens":9,"systemText":"","quantization":"None"}"""));
                await Task.Run(() => File.WriteAllText(conversation, "{}"));
                await start;
                Assert.Equal((0.25, 9), (host.Main.Settings.Temperature, host.Main.Settings.MaxNewTokens));
                Assert.NotNull(host.Main.Error);
            },
            folder);
    }

    [Fact]
    public async Task Settings_OutOfRange_AreReported_NotSaved_AndKeepFromSending()
    {
        using TempFolder folder = new();
        await DesktopHost.RunAsync(
            async host =>
            {
                await host.Main.StartAsync();
                SettingsViewModel settings = host.Main.Settings;
                (settings.Temperature, settings.TopP, settings.MaxNewTokens, settings.SystemText) = (0.5, 0.9, 50, "Be brief.");
                host.Main.Selected.Draft = "Hello";
                Assert.True(host.Main.Selected.SendCommand.CanExecute(null));

                settings.TopP = 1.5;
                Assert.Contains("Top-p: above 0, at most 1.", settings.GetErrors(nameof(settings.TopP)).Select(error => error.ErrorMessage));
                Assert.False(host.Main.Selected.SendCommand.CanExecute(null));
                settings.MaxNewTokens = 0;
                settings.Temperature = double.NaN;
                Assert.Equal(3, settings.GetErrors().Count());
            },
            folder);
        await DesktopHost.RunAsync(
            async host =>
            {
                await host.Main.StartAsync();
                SettingsViewModel settings = host.Main.Settings;
                Assert.Equal((0.5, 0.9, 50), (settings.Temperature, settings.TopP, settings.MaxNewTokens));
                Assert.Equal(("Be brief.", null), (settings.SystemText, settings.Seed));
            },
            folder);
    }

    private static bool MakePipe(string path)
    {
        try
        {
            using Process process = Process.Start("mkfifo", [path]);
            process.WaitForExit();
            return process.ExitCode == 0;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return false;
        }
    }
}
