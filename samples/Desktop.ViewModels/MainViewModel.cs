using System.Collections.ObjectModel;
using CommunityToolkit.Mvvm.ComponentModel;
using CommunityToolkit.Mvvm.Input;

namespace DesktopSample.ViewModels;

/// <summary>
/// The whole application, for any toolkit to bind to. It is made and used on the user interface's thread, whose <see cref="SynchronizationContext"/> it takes
/// from there, and every change is raised on that thread; compute, waiting and files are elsewhere, always.
/// </summary>
public sealed partial class MainViewModel : ObservableObject, IAsyncDisposable
{
    // So many conversations are put into the list before the thread is given back.
    private const int ConversationsAtATime = 8;

    private readonly SynchronizationContext _ui;
    private readonly TimeProvider _time;
    private readonly UserStore _store;
    private Task? _ending;

    /// <summary>Makes the application, empty. <see cref="StartAsync"/> fills it.</summary>
    /// <param name="options">What the host gives.</param>
    /// <exception cref="InvalidOperationException">The thread has no <see cref="SynchronizationContext"/>: it is not a user interface's.</exception>
    public MainViewModel(DesktopOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        _ui = SynchronizationContext.Current ?? throw new InvalidOperationException(
            "SynchronizationContext.Current is null: make the view models on the user interface's thread, after its toolkit was started.");
        _time = options.Time;
        _store = new UserStore(options.UserFolder);
        Settings = new SettingsViewModel(_store);
        Model = new ModelViewModel(_ui, options, Settings);
        Memory = new MemoryViewModel(_ui, _time, () => Model.Engine);
        Selected = NewConversationViewModel();
        Conversations.Add(Selected);
        Settings.ErrorsChanged += (_, _) => Refresh();
        Model.PropertyChanged += (_, change) =>
        {
            if (change.PropertyName == nameof(Model.State))
            {
                Refresh();
            }
        };
    }

    /// <summary>The model.</summary>
    public ModelViewModel Model { get; }

    /// <summary>How answers are generated.</summary>
    public SettingsViewModel Settings { get; }

    /// <summary>Memory in use.</summary>
    public MemoryViewModel Memory { get; }

    /// <summary>All conversations, the newest first; never none.</summary>
    public ObservableCollection<ConversationViewModel> Conversations { get; } = [];

    /// <summary>The conversation that is looked at; one of <see cref="Conversations"/>. A list that sets it to null is not heard.</summary>
    public ConversationViewModel Selected
    {
        get;
        set
        {
            // Lists of some toolkits clear their selection while their items change.
            if (value is not null)
            {
                SetProperty(ref field, value);
            }
        }
    }

    /// <summary>What went wrong with the stored conversations; null where all is well.</summary>
    [ObservableProperty]
    public partial string? Error { get; private set; }

    /// <summary>
    /// Brings back settings and conversations of earlier runs, and loads a model if the user has not done so meanwhile. Call it when the window is shown.
    /// Errors are in the view models.
    /// </summary>
    /// <param name="modelPath">A checkpoint folder or a .gguf file; null for the embedded model.</param>
    /// <returns>The task; ends when all of that has been done or has failed.</returns>
    public async Task StartAsync(string? modelPath = null)
    {
        Task history = RestoreAsync();

        // Before the model, which is loaded as the settings say.
        await Settings.RestoreAsync();
        if (_ending is null && Model.State == ModelState.None)
        {
            await Model.LoadCommand.ExecuteAsync(modelPath);
        }

        await history;
    }

    /// <summary>Stops everything, waits until all is saved, and gives up the model. Await it before the window's loop ends; it may be called again.</summary>
    /// <returns>The task.</returns>
    public async ValueTask DisposeAsync() => await (_ending ??= EndAsync());

    /// <summary>Takes note that all errors on view have been read.</summary>
    [RelayCommand]
    private void DismissErrors()
    {
        Error = null;
        Model.DismissError();
        Selected.DismissError();
    }

    /// <summary>Begins a conversation, or goes to the one that is empty.</summary>
    [RelayCommand]
    private void NewConversation()
    {
        ConversationViewModel? empty = Conversations.FirstOrDefault(conversation => conversation.Messages.Count == 0);
        if (empty is null)
        {
            empty = NewConversationViewModel();
            Conversations.Insert(0, empty);
        }

        Selected = empty;
    }

    /// <summary>Deletes a conversation, here and on the disk.</summary>
    /// <param name="conversation">The conversation; null for the selected one.</param>
    [RelayCommand]
    private async Task DeleteConversationAsync(ConversationViewModel? conversation)
    {
        conversation ??= Selected;
        int index = Conversations.IndexOf(conversation);
        if (index < 0)
        {
            return;
        }

        if (Conversations.Count == 1)
        {
            Conversations.Add(NewConversationViewModel());
        }

        // Another one is selected before this one goes: a list never points at what is not there.
        Selected = Selected == conversation ? Conversations[index + 1 < Conversations.Count ? index + 1 : index - 1] : Selected;
        Conversations.RemoveAt(index);
        try
        {
            await conversation.EndAsync(isDeleted: true);
            await _store.DeleteAsync(conversation.Id);
        }
        catch (Exception error) when (UserStore.IsOfDisk(error))
        {
            Error = $"The conversation could not be deleted: {error.Message}";
        }
    }

    private async Task RestoreAsync()
    {
        try
        {
            (IReadOnlyList<ConversationRecord> stored, IReadOnlyList<string> problems) = await _store.LoadConversationsAsync();
            Error = problems.Count > 0 ? $"Not all conversations could be read. {string.Join(" ", problems)}" : null;
            foreach (ConversationRecord[] some in stored.Chunk(ConversationsAtATime))
            {
                foreach (ConversationRecord conversation in some)
                {
                    Conversations.Add(new ConversationViewModel(_ui, _time, Model, Settings, _store, conversation));
                }

                await Task.Yield();
            }
        }
        catch (Exception error) when (UserStore.IsOfDisk(error))
        {
            Error = $"The conversations could not be read: {error.Message}";
        }
    }

    private async Task EndAsync()
    {
        Memory.Dispose();
        foreach (ConversationViewModel conversation in Conversations.ToArray())
        {
            await conversation.EndAsync(isDeleted: false);
        }

        if (DeleteConversationCommand.ExecutionTask is { } deleting)
        {
            await deleting;
        }

        await Model.EndAsync();
        await Settings.Saving;
        await _store.FlushAsync();
        _store.Dispose();
    }

    private ConversationViewModel NewConversationViewModel() => new(_ui, _time, Model, Settings, _store);

    private void Refresh()
    {
        foreach (ConversationViewModel conversation in Conversations)
        {
            conversation.Refresh();
        }
    }
}
