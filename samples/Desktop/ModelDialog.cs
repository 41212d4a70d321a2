using DesktopSample.ViewModels;
using Terminal.Gui.App;
using Terminal.Gui.ViewBase;
using Terminal.Gui.Views;
using Vicuna.Managed;

namespace DesktopSample;

/// <summary>The choice of a model. Loading goes on when the dialog has closed.</summary>
internal sealed class ModelDialog : FormDialog
{
    private readonly ModelViewModel _model;
    private readonly SettingsViewModel _settings;
    private readonly TextField _path;
    private readonly OptionSelector<Quantization> _quantization;

    public ModelDialog(IApplication app, ModelViewModel model, SettingsViewModel settings)
        : base(app, "Model", "Load")
    {
        (_model, _settings) = (model, settings);
        _path = Field(string.Empty);
        _path.Y = 1;
        _quantization = new OptionSelector<Quantization> { Y = 4, Orientation = Orientation.Horizontal, Value = settings.Quantization };
        Add(
            new Label { Text = $"Folder or .gguf file; empty for {ModelLoading.EmbeddedName}:" },
            _path,
            new Label { Text = "Make weights smaller when loading (8 or 4 bits):", Y = 3 },
            _quantization,
            new Label { Text = " ", Y = 5 });
    }

    /// <inheritdoc/>
    protected override bool Apply()
    {
        _settings.Quantization = _quantization.Value ?? Quantization.None;
        if (_model.LoadCommand.CanExecute(_path.Text))
        {
            _model.LoadCommand.Execute(_path.Text);
        }

        return true;
    }
}
