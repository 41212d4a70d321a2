using DesktopSample.ViewModels;
using Terminal.Gui.ViewBase;
using Terminal.Gui.Views;
using Vicuna.Managed;

namespace DesktopSample;

/// <summary>The choice of a model. Loading goes on when the dialog has closed.</summary>
internal sealed class ModelDialog : Dialog
{
    private readonly ModelViewModel _model;
    private readonly SettingsViewModel _settings;
    private readonly TextField _path = new() { Y = 1, Width = Dim.Fill() };
    private readonly OptionSelector<Quantization> _quantization;

    public ModelDialog(ModelViewModel model, SettingsViewModel settings)
    {
        (_model, _settings) = (model, settings);
        Title = "Model";
        Width = 64;
        _quantization = new OptionSelector<Quantization> { Y = 4, Orientation = Orientation.Horizontal, Value = settings.Quantization };
        Add(
            new Label { Text = $"Folder or .gguf file; empty for {ModelLoading.EmbeddedName}:" },
            _path,
            new Label { Text = "Make weights smaller when loading (8 or 4 bits):", Y = 3 },
            _quantization,
            new Label { Text = " ", Y = 5 });
        AddButton(new Button { Title = "Cancel" });
        Button load = new() { Title = "Load", IsDefault = true };
        load.Accepting += (_, _) => Load();
        AddButton(load);
    }

    private void Load()
    {
        _settings.Quantization = _quantization.Value ?? Quantization.None;
        if (_model.LoadCommand.CanExecute(_path.Text))
        {
            _model.LoadCommand.Execute(_path.Text);
        }
    }
}
