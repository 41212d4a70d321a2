using DesktopSample.ViewModels;
using Vicuna.Managed.Checkpoints;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Samples.Tests.Desktop;

/// <summary>
/// A desktop application without its window. Whatever a test does with it, in the end no change may have come on another thread than the user interface's,
/// nothing may have waited on that thread, and nothing may have been thrown on it.
/// </summary>
internal sealed class DesktopHost
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private readonly TempFolder _folder;

    private DesktopHost(TempFolder folder, UiThread ui, DesktopOptions options)
    {
        (_folder, Ui) = (folder, ui);
        Changes = new ChangeRecorder(ui);
        Main = new MainViewModel(options);
        Changes.Listen(Main);
    }

    public UiThread Ui { get; }

    public ChangeRecorder Changes { get; }

    public MainViewModel Main { get; }

    public string Conversations => Path.Combine(_folder.Path, "conversations");

    /// <summary>Runs a test on the user interface's thread, with an application that has just been made, in a folder of the user's.</summary>
    public static async Task RunAsync(Func<DesktopHost, Task> body, TempFolder? folder = null, Func<DesktopOptions, DesktopOptions>? options = null)
    {
        using TempFolder own = new();
        using UiThread ui = new();
        TempFolder used = folder ?? own;
        DesktopHost? host = null;
        Task run = ui.RunAsync(async () =>
        {
            DesktopOptions given = new() { UserFolder = used.Path };
            host = new DesktopHost(used, ui, options is null ? given : options(given));
            try
            {
                await body(host);
            }
            finally
            {
                await host.Main.DisposeAsync();
            }
        });
        await run.WaitAsync(Patience);
        Assert.Empty(host!.Changes.OffThread);
        Assert.Empty(ui.Waits);
        Assert.Empty(ui.Errors);
    }

    /// <summary>Writes a model whose answers are nonsense and end with its context, which is so long that no test sees the end.</summary>
    public static void WriteTalkativeModel(string folder) =>
        SyntheticCheckpoint.WriteShape(SyntheticCheckpoint.Config("tiny") with { MaxPositionEmbeddings = 100_000 }, folder);

    /// <summary>Waits, without keeping the thread, until something has come about.</summary>
    public static async Task Until(Func<bool> condition)
    {
        using CancellationTokenSource patience = new(Patience);
        while (!condition())
        {
            await Task.Delay(TimeSpan.FromMilliseconds(2), patience.Token);
        }
    }

    /// <summary>Asks in the selected conversation and waits for the end of the answer.</summary>
    public async Task<MessageViewModel> AskAsync(string question)
    {
        ConversationViewModel conversation = Main.Selected;
        conversation.Draft = question;
        Assert.True(conversation.SendCommand.CanExecute(null));
        await conversation.SendCommand.ExecuteAsync(null);
        return conversation.Messages[^1];
    }

}
