using System.Collections.Specialized;
using System.ComponentModel;
using DesktopSample.ViewModels;
using Terminal.Gui.App;
using Terminal.Gui.Configuration;
using Terminal.Gui.Drawing;
using Terminal.Gui.Input;
using Terminal.Gui.ViewBase;
using Terminal.Gui.Views;

namespace DesktopSample;

/// <summary>The window: conversations, the transcript of the one that is looked at, a line to type in, and what there is to know.</summary>
internal sealed class ChatWindow : Window
{
    private const int BarColumns = 20;
    private const int MaxStateRows = 4;
    private const int MemoryColumns = 16;
    private const int RowsBelow = 6;

    private const string MessageTitle = "Message: Enter sends, ↑↓ conversation, PgUp PgDn scroll";

    private readonly IApplication _app;
    private readonly MainViewModel _main;
    private readonly string? _modelPath;
    private readonly ListView _list = new() { Width = Dim.Fill(), Height = Dim.Fill() };
    private readonly TranscriptView _transcript;
    private readonly FrameView _transcriptFrame;
    private readonly TextField _input = new() { Width = Dim.Fill() };
    private readonly Label _model;
    private readonly Label _memory;
    private readonly Label _state;
    private ConversationViewModel? _shown;
    private int _stateRows = 1;
    private bool _quitting;

    public ChatWindow(IApplication app, MainViewModel main, string? modelPath)
    {
        (_app, _main, _modelPath) = (app, main, modelPath);
        BorderStyle = LineStyle.None;
        _transcript = new TranscriptView(main.Model) { Width = Dim.Fill(), Height = Dim.Fill() };
        FrameView conversations = new() { Title = "Conversations", Width = Dim.Percent(30), Height = Dim.Func(_ => Bottom(RowsBelow)) };
        _transcriptFrame = new FrameView { X = Pos.Right(conversations), Width = Dim.Fill(), Height = Dim.Func(_ => Bottom(RowsBelow)), CanFocus = false };
        FrameView message = new() { Title = MessageTitle, Y = Pos.Func(_ => Bottom(RowsBelow)), Width = Dim.Fill(), Height = 3 };
        _model = new Label { Y = Pos.Func(_ => Bottom(3)), Width = Dim.Fill(MemoryColumns), Height = 1, CanFocus = false };
        _memory = new Label
        {
            X = Pos.AnchorEnd(MemoryColumns),
            Y = Pos.Func(_ => Bottom(3)),
            Width = MemoryColumns,
            Height = 1,
            TextAlignment = Alignment.End,
            CanFocus = false,
        };
        _state = new Label { Y = Pos.Func(_ => Bottom(2)), Width = Dim.Fill(), Height = Dim.Func(_ => _stateRows), CanFocus = false };
        conversations.Add(_list);
        _transcriptFrame.Add(_transcript);
        message.Add(_input);
        Add(conversations, _transcriptFrame, message, _model, _memory, _state, new StatusBar(Keys()));
        Bind();
        Initialized += (_, _) =>
        {
            _input.SetFocus();
            _ = _main.StartAsync(_modelPath);
        };
    }

    /// <summary>Saves and ends, on the window's thread. What it waits for is waited for while the window still lives.</summary>
    public async void Quit()
    {
        if (_quitting)
        {
            return;
        }

        _quitting = true;
        ShowState();
        await _main.DisposeAsync();
        _app.RequestStop(this);
    }

    /// <inheritdoc/>
    protected override bool OnKeyDown(Key key)
    {
        if (key == Key.PageUp || key == Key.PageDown)
        {
            _transcript.Page(key == Key.PageUp ? -1 : 1);
            return true;
        }

        if (key == Key.CursorUp || key == Key.CursorDown)
        {
            int index = _main.Conversations.IndexOf(_main.Selected) + (key == Key.CursorUp ? -1 : 1);
            _main.Selected = _main.Conversations[Math.Clamp(index, 0, _main.Conversations.Count - 1)];
            return true;
        }

        return base.OnKeyDown(key);
    }

    private IEnumerable<Shortcut> Keys() =>
    [
        new Shortcut(Key.Esc, "Stop", Stop),
        new Shortcut(Key.F2, "New", () => _main.NewConversationCommand.Execute(null)),
        new Shortcut(Key.F3, "Delete", Delete),
        new Shortcut(Key.F4, "Model", ChooseModel),
        new Shortcut(Key.F5, "Settings", ChangeSettings),
        new Shortcut(Key.Q.WithCtrl, "Quit", Quit),
    ];

    private void Bind()
    {
        _list.SetSource(_main.Conversations);
        _list.ValueChanged += (_, change) =>
        {
            if (change.NewValue is { } index && index >= 0 && index < _main.Conversations.Count)
            {
                _main.Selected = _main.Conversations[index];
            }
        };
        _list.Accepting += (_, accept) =>
        {
            accept.Handled = true;
            _input.SetFocus();
        };
        _main.Conversations.CollectionChanged += (_, change) => SelectInList();
        _main.PropertyChanged += (_, change) =>
        {
            if (change.PropertyName == nameof(_main.Selected))
            {
                SelectInList();
                ShowSelected();
            }

            ShowState();
        };
        _main.Model.PropertyChanged += (_, _) => ShowState();
        _main.Settings.PropertyChanged += (_, _) => ShowState();
        _main.Memory.PropertyChanged += (_, _) => ShowState();
        _input.TextChanged += (_, _) => _main.Selected.Draft = _input.Text;
        _input.Accepting += (_, accept) =>
        {
            accept.Handled = true;
            if (_main.Selected.SendCommand.CanExecute(null))
            {
                _main.Selected.SendCommand.Execute(null);
            }
        };
        SelectInList();
        ShowSelected();
        ShowState();
    }

    private void SelectInList()
    {
        int index = _main.Conversations.IndexOf(_main.Selected);
        if (index >= 0 && _list.SelectedItem != index)
        {
            _list.SelectedItem = index;
        }
    }

    private void ShowSelected()
    {
        if (_shown is { } old)
        {
            old.PropertyChanged -= ConversationChanged;
        }

        _shown = _main.Selected;
        _shown.PropertyChanged += ConversationChanged;
        _transcript.Show(_shown);
        (_transcriptFrame.Title, _input.Text) = (_shown.Title, _shown.Draft);
    }

    private void ConversationChanged(object? sender, PropertyChangedEventArgs change)
    {
        switch (change.PropertyName)
        {
            case nameof(ConversationViewModel.Draft) when _input.Text != _shown!.Draft:
                _input.Text = _shown.Draft;
                break;
            case nameof(ConversationViewModel.Title):
                _transcriptFrame.Title = _shown!.Title;
                _list.SetNeedsDraw();
                break;
        }

        ShowState();
    }

    private void ShowState()
    {
        ModelViewModel model = _main.Model;
        int filled = (int)(model.Progress * BarColumns);
        _model.Text = model.IsLoading
            ? $"[{new string('#', filled)}{new string('.', BarColumns - filled)}] {model.StatusText} (Esc stops)"
            : model.StatusText;
        _memory.Text = _main.Memory.ShortText;
        string? error = _quitting || _shown!.IsAnswering ? null : _shown.Error ?? model.Error ?? _main.Settings.Error ?? _main.Error;
        string state = _quitting ? "Saving and ending..." : error is null ? Situation() : $"{error} (Esc puts this away)";

        // An error is shown in full, in as many rows as it takes.
        string[] lines = [.. TextWrap.Wrap(state, Math.Max(1, Viewport.Width)).Take(MaxStateRows)];
        _state.Text = string.Join('\n', lines);
        if (_stateRows != lines.Length)
        {
            _stateRows = lines.Length;
            SetNeedsLayout();
        }

        _state.SchemeName = error is null ? null : SchemeManager.SchemesToSchemeName(Schemes.Error);
    }

    private string Situation() => (_main.Model, _shown!) switch
    {
        (_, { IsAnswering: true } answering) => $"Answering... {answering.SpeedText}",
        ({ IsReady: false, IsLoading: false }, _) => "F4 loads a model.",
        (_, { SpeedText.Length: > 0 } answered) => answered.SpeedText,
        (var model, _) => model.Notice ?? string.Empty,
    };

    // The row that is so many rows above the end, where the state takes one.
    private int Bottom(int rows) => Math.Max(0, Viewport.Height - rows - (_stateRows - 1));

    private void Stop()
    {
        if (_main.Model.IsLoading)
        {
            _main.Model.CancelLoadCommand.Execute(null);
        }
        else if (_main.Selected.IsAnswering)
        {
            _main.Selected.StopCommand.Execute(null);
        }
        else
        {
            _main.DismissErrorsCommand.Execute(null);
        }
    }

    private void Delete()
    {
        ConversationViewModel conversation = _main.Selected;
        if (conversation.Messages.Count == 0 || MessageBox.Query(_app, "Delete", $"Delete \"{conversation.Title}\"?", "Delete", "Keep") == 0)
        {
            _main.DeleteConversationCommand.Execute(conversation);
        }
    }

    private void ChooseModel()
    {
        using ModelDialog dialog = new(_app, _main.Model, _main.Settings);
        _app.Run(dialog);
        _input.SetFocus();
    }

    private void ChangeSettings()
    {
        using SettingsDialog dialog = new(_app, _main.Settings);
        _app.Run(dialog);
        _input.SetFocus();
    }
}
