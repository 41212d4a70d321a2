using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using CommunityToolkit.Mvvm.ComponentModel;
using Vicuna.Managed;
using Vicuna.Managed.Chat;

namespace DesktopSample.ViewModels;

/// <summary>
/// How answers are generated. Null stands for the model's own setting. A value out of range is kept and reported as
/// <see cref="INotifyDataErrorInfo"/> does, and no message can be sent until it is put right. Saved when changed.
/// </summary>
public sealed partial class SettingsViewModel : ObservableValidator
{
    private readonly UserStore _store;
    private SettingsRecord? _unsaved;
    private bool _isRestoring;

    internal SettingsViewModel(UserStore store)
    {
        _store = store;
        PropertyChanged += (_, change) =>
        {
            if (!_isRestoring && !HasErrors && change.PropertyName is not (nameof(HasErrors) or nameof(Error)))
            {
                _unsaved = ToRecord();
                Saving = Saving.IsCompleted ? SaveAsync() : Saving;
            }
        };
    }

    /// <summary>How bold the choice of tokens is, dimensionless, 0 (always the likeliest) to 100.</summary>
    [ObservableProperty]
    [NotifyDataErrorInfo]
    [Range(0.0, 100.0, ErrorMessage = "Temperature: 0 to 100.")]
    public partial double? Temperature { get; set; }

    /// <summary>Only the likeliest tokens that together reach this probability are drawn from, dimensionless, above 0 to 1.</summary>
    [ObservableProperty]
    [NotifyDataErrorInfo]
    [Range(0.0, 1.0, MinimumIsExclusive = true, ErrorMessage = "Top-p: above 0, at most 1.")]
    public partial double? TopP { get; set; }

    /// <summary>Most tokens of an answer, 1 or more.</summary>
    [ObservableProperty]
    [NotifyDataErrorInfo]
    [Range(1, int.MaxValue, ErrorMessage = "Most tokens: at least 1.")]
    public partial int? MaxNewTokens { get; set; }

    /// <summary>Key of the random numbers, for the same answer each time; null for a new one each time.</summary>
    [ObservableProperty]
    public partial long? Seed { get; set; }

    /// <summary>Instructions that stand before every conversation; empty for none.</summary>
    [ObservableProperty]
    public partial string SystemText { get; set; } = string.Empty;

    /// <summary>How weights are made smaller when a model is loaded; holds from the next loading on.</summary>
    [ObservableProperty]
    public partial Quantization Quantization { get; set; }

    /// <summary>Why the settings could not be read or saved; null where all is well.</summary>
    [ObservableProperty]
    public partial string? Error { get; private set; }

    /// <summary>Ends when everything is saved.</summary>
    internal Task Saving { get; private set; } = Task.CompletedTask;

    /// <summary>The options of an answer that begins now.</summary>
    internal GenerationOptions ToOptions() => new() { Temperature = Temperature, TopP = TopP, MaxNewTokens = MaxNewTokens, Seed = Seed };

    /// <summary>The message that stands before a conversation.</summary>
    internal IEnumerable<ChatMessage> SystemMessages() => string.IsNullOrWhiteSpace(SystemText) ? [] : [new ChatMessage(ChatRole.System, SystemText)];

    /// <summary>Takes what was saved by an earlier run.</summary>
    internal async Task RestoreAsync()
    {
        try
        {
            if (await _store.LoadSettingsAsync() is { } saved)
            {
                _isRestoring = true;
                (Temperature, TopP, MaxNewTokens, Seed) = (saved.Temperature, saved.TopP, saved.MaxNewTokens, saved.Seed);
                (SystemText, Quantization) = (saved.SystemText, saved.Quantization);
            }
        }
        catch (Exception error) when (UserStore.IsOfDisk(error))
        {
            Error = $"The settings could not be read: {error.Message}";
        }
        finally
        {
            _isRestoring = false;
        }
    }

    private SettingsRecord ToRecord() => new()
    {
        Temperature = Temperature,
        TopP = TopP,
        MaxNewTokens = MaxNewTokens,
        Seed = Seed,
        SystemText = SystemText,
        Quantization = Quantization,
    };

    // Settings change letter by letter: while one state is being written, only the newest of the others waits.
    private async Task SaveAsync()
    {
        while (_unsaved is { } settings)
        {
            _unsaved = null;
            try
            {
                await _store.SaveAsync(settings);
                Error = null;
            }
            catch (Exception error) when (UserStore.IsOfDisk(error))
            {
                Error = $"The settings could not be saved: {error.Message}";
            }
        }
    }
}
