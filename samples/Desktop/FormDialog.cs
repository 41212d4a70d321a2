using Terminal.Gui.App;
using Terminal.Gui.Input;
using Terminal.Gui.ViewBase;
using Terminal.Gui.Views;

namespace DesktopSample;

/// <summary>
/// A dialog with fields, which closes when what was entered is accepted, or when it is left. Enter in a field accepts. (The toolkit's dialog closes by itself
/// when a button is pressed, whether or not the fields are in order; so the buttons here are handled before it hears of them.)
/// </summary>
internal abstract class FormDialog : Dialog
{
    private const int DialogColumns = 64;

    private readonly IApplication _app;

    protected FormDialog(IApplication app, string title, string accept)
    {
        _app = app;
        Title = title;
        Width = DialogColumns;
        AddButton(Pressed(new Button { Title = "Cancel" }, Leave));
        AddButton(Pressed(new Button { Title = accept }, TryAccept));
    }

    /// <summary>Takes over what was entered.</summary>
    /// <returns>Whether it was in order.</returns>
    protected abstract bool Apply();

    /// <summary>Takes back what was taken over, when the dialog is left.</summary>
    protected virtual void Revert()
    {
    }

    /// <summary>Makes a field in which Enter accepts the dialog.</summary>
    protected TextField Field(string text) => Pressed(new TextField { Width = Dim.Fill(), Text = text }, TryAccept);

    /// <inheritdoc/>
    protected override bool OnKeyDown(Key key)
    {
        if (key != Key.Esc)
        {
            return base.OnKeyDown(key);
        }

        Leave();
        return true;
    }

    private static TView Pressed<TView>(TView view, Action action)
        where TView : View
    {
        view.Accepting += (_, accept) =>
        {
            accept.Handled = true;
            action();
        };
        return view;
    }

    private void TryAccept()
    {
        if (Apply())
        {
            _app.RequestStop(this);
        }
    }

    private void Leave()
    {
        Revert();
        _app.RequestStop(this);
    }
}
