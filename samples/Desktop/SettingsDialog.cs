using System.ComponentModel.DataAnnotations;
using System.Globalization;
using DesktopSample.ViewModels;
using Terminal.Gui.App;
using Terminal.Gui.ViewBase;
using Terminal.Gui.Views;

namespace DesktopSample;

/// <summary>The settings. What is wrong is said in the dialog, which stays open; leaving it takes everything back.</summary>
internal sealed class SettingsDialog : FormDialog
{
    private const int LabelColumns = 14;

    private readonly SettingsViewModel _settings;
    private readonly (double? Temperature, double? TopP, int? MaxNewTokens, long? Seed, string SystemText) _before;
    private readonly TextField _temperature;
    private readonly TextField _topP;
    private readonly TextField _tokens;
    private readonly TextField _seed;
    private readonly TextField _system;
    private readonly Label _problem;

    public SettingsDialog(IApplication app, SettingsViewModel settings)
        : base(app, "Settings", "OK")
    {
        _settings = settings;
        _before = (settings.Temperature, settings.TopP, settings.MaxNewTokens, settings.Seed, settings.SystemText);
        Add(new Label { Text = "For the next answers. Empty stands for the model's own." });
        _temperature = Row("Temperature", 2, Shown(settings.Temperature));
        _topP = Row("Top-p", 3, Shown(settings.TopP));
        _tokens = Row("Most tokens", 4, Shown(settings.MaxNewTokens));
        _seed = Row("Seed", 5, Shown(settings.Seed));
        _system = Row("System text", 6, settings.SystemText);
        _problem = new Label { Y = 8, Width = Dim.Fill(), Height = 2 };
        Add(_problem);
    }

    /// <inheritdoc/>
    protected override bool Apply()
    {
        List<string> problems = [];
        (double? Temperature, double? TopP, int? Tokens, long? Seed) read = (
            Parse<double>(_temperature, "Temperature", problems),
            Parse<double>(_topP, "Top-p", problems),
            Parse<int>(_tokens, "Most tokens", problems),
            Parse<long>(_seed, "Seed", problems));
        if (problems.Count == 0)
        {
            (_settings.Temperature, _settings.TopP, _settings.MaxNewTokens, _settings.Seed) = read;
            _settings.SystemText = _system.Text;
            problems.AddRange(_settings.GetErrors().Select(error => error.ErrorMessage!));
        }

        _problem.Text = string.Join(" ", problems);
        return problems.Count == 0;
    }

    /// <inheritdoc/>
    protected override void Revert() =>
        (_settings.Temperature, _settings.TopP, _settings.MaxNewTokens, _settings.Seed, _settings.SystemText) = _before;

    private static string Shown<T>(T? value)
        where T : struct, IFormattable => value?.ToString(null, CultureInfo.CurrentCulture) ?? string.Empty;

    private static T? Parse<T>(TextField field, string name, List<string> problems)
        where T : struct, IParsable<T>
    {
        if (string.IsNullOrWhiteSpace(field.Text))
        {
            return null;
        }

        if (!T.TryParse(field.Text, CultureInfo.CurrentCulture, out T value))
        {
            problems.Add($"{name}: not a number.");
        }

        return value;
    }

    private TextField Row(string label, int row, string text)
    {
        TextField field = Field(text);
        (field.X, field.Y) = (LabelColumns, row);
        Add(new Label { Text = label, Y = row }, field);
        return field;
    }
}
