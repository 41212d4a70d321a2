using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace DesktopSample.ViewModels;

/// <summary>
/// Conversations and settings on the disk, a JSON file each. Whoever calls is never kept waiting by the disk, nor by a network drive that hangs: even
/// opening a file is done on another thread. Writes come one after the other, in order, and each replaces its file in one step, so that a crash, a full
/// disk or a power cut leaves the old file or the new one.
/// </summary>
internal sealed class UserStore(string folder) : IDisposable
{
    private const long MaxFileBytes = 64 << 20;
    private const string Extension = ".json";
    private const string UnfinishedExtension = ".unfinished";

    private readonly string _conversations = Path.Combine(folder, "conversations");
    private readonly string _settings = Path.Combine(folder, "settings" + Extension);
    private readonly SemaphoreSlim _turn = new(1);

    /// <summary>Reads all conversations, the newest first, and says of which files that was not possible; those stay as they are.</summary>
    public Task<(IReadOnlyList<ConversationRecord> Conversations, IReadOnlyList<string> Problems)> LoadConversationsAsync() => Task.Run(() =>
    {
        List<ConversationRecord> conversations = [];
        List<string> problems = [];
        foreach (string file in Directory.Exists(_conversations) ? Directory.EnumerateFiles(_conversations, "*" + Extension) : [])
        {
            try
            {
                ConversationRecord conversation = Read(file, StoreJson.Default.ConversationRecord);
                bool isNamedSo = conversation.Id.ToString() == Path.GetFileNameWithoutExtension(file);
                if ((isNamedSo ? conversation.Problem() : $"holds another id, {conversation.Id}") is { } problem)
                {
                    throw new InvalidDataException($"{Path.GetFileName(file)}: {problem}.");
                }

                conversations.Add(conversation);
            }
            catch (Exception error) when (IsOfDisk(error))
            {
                problems.Add(error.Message);
            }
        }

        return ((IReadOnlyList<ConversationRecord>)[.. conversations.OrderByDescending(conversation => conversation.Updated)], (IReadOnlyList<string>)problems);
    });

    /// <summary>Reads the settings, or returns null where there are none.</summary>
    /// <exception cref="InvalidDataException">The file is damaged.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public Task<SettingsRecord?> LoadSettingsAsync() => Task.Run(() => File.Exists(_settings) ? Read(_settings, StoreJson.Default.SettingsRecord) : null);

    /// <summary>Writes a conversation.</summary>
    public Task SaveAsync(ConversationRecord conversation) => InTurn(() => Write(FileOf(conversation.Id), conversation, StoreJson.Default.ConversationRecord));

    /// <summary>Writes the settings.</summary>
    public Task SaveAsync(SettingsRecord settings) => InTurn(() => Write(_settings, settings, StoreJson.Default.SettingsRecord));

    /// <summary>Deletes a conversation, if it was ever written.</summary>
    public Task DeleteAsync(Guid conversation) => InTurn(() =>
    {
        if (Directory.Exists(_conversations))
        {
            File.Delete(FileOf(conversation));
        }
    });

    /// <summary>Waits until everything is written that was asked for.</summary>
    public Task FlushAsync() => InTurn(static () => { });

    /// <inheritdoc/>
    public void Dispose() => _turn.Dispose();

    /// <summary>Whether an error is one that disks and files have.</summary>
    public static bool IsOfDisk(Exception error) => error is IOException or UnauthorizedAccessException or InvalidDataException;

    private static T Read<T>(string file, JsonTypeInfo<T> type)
    {
        using FileStream stream = File.OpenRead(file);
        if (stream.CanSeek && stream.Length > MaxFileBytes)
        {
            throw new InvalidDataException($"{Path.GetFileName(file)}: expected at most {MaxFileBytes} bytes, found {stream.Length}.");
        }

        try
        {
            return JsonSerializer.Deserialize(stream, type) ?? throw new InvalidDataException($"{Path.GetFileName(file)}: expected an object, found null.");
        }
        catch (JsonException error)
        {
            throw new InvalidDataException($"{Path.GetFileName(file)}: {error.Message}", error);
        }
    }

    private static void Write<T>(string file, T value, JsonTypeInfo<T> type)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        string unfinished = file + UnfinishedExtension;
        using (FileStream stream = new(unfinished, FileMode.Create, FileAccess.Write, FileShare.None))
        {
            JsonSerializer.Serialize(stream, value, type);
            stream.Flush(flushToDisk: true);
        }

        File.Move(unfinished, file, overwrite: true);
    }

    private string FileOf(Guid conversation) => Path.Combine(_conversations, conversation + Extension);

    private async Task InTurn(Action work)
    {
        await _turn.WaitAsync().ConfigureAwait(false);
        try
        {
            await Task.Run(work).ConfigureAwait(false);
        }
        finally
        {
            _turn.Release();
        }
    }
}
