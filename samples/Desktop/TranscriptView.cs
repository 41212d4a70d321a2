using System.Collections.Specialized;
using System.ComponentModel;
using System.Drawing;
using DesktopSample.ViewModels;
using Terminal.Gui.Drawing;
using Terminal.Gui.ViewBase;
using Attribute = Terminal.Gui.Drawing.Attribute;

namespace DesktopSample;

/// <summary>
/// The messages of a conversation, wrapped to the width at hand. Only messages that changed are wrapped again, so that an answer that grows costs the same in
/// a long conversation as in a short one. Stays at the end while the end is looked at.
/// </summary>
internal sealed class TranscriptView : View
{
    private readonly ModelViewModel _model;
    private readonly Dictionary<MessageViewModel, IReadOnlyList<TranscriptLine>> _wrapped = [];
    private readonly List<TranscriptLine> _lines = [];
    private readonly List<int> _starts = [];
    private ConversationViewModel? _conversation;
    private int _width;
    private Size _size;
    private bool _isArranging;
    private bool _isSettling;
    private bool _followsEnd = true;
    private (int Message, int Line) _top;

    public TranscriptView(ModelViewModel model)
    {
        _model = model;
        CanFocus = false;
        ViewportSettings |= ViewportSettingsFlags.HasVerticalScrollBar;
    }

    /// <summary>Shows a conversation, from its end.</summary>
    public void Show(ConversationViewModel conversation)
    {
        if (_conversation is { } old)
        {
            old.Messages.CollectionChanged -= MessagesChanged;
            foreach (MessageViewModel message in _wrapped.Keys)
            {
                message.PropertyChanged -= MessageChanged;
            }
        }

        _wrapped.Clear();
        _conversation = conversation;
        conversation.Messages.CollectionChanged += MessagesChanged;
        foreach (MessageViewModel message in conversation.Messages)
        {
            message.PropertyChanged += MessageChanged;
        }

        _followsEnd = true;
        Arrange();
    }

    /// <summary>Moves up or down by most of a page.</summary>
    /// <param name="direction">-1 for up, 1 for down.</param>
    public void Page(int direction) => ScrollVertical(direction * Math.Max(1, Viewport.Height - 2));

    /// <inheritdoc/>
    protected override void OnFrameChanged(in Rectangle frame)
    {
        base.OnFrameChanged(frame);
        _isSettling = Viewport.Size != _size;
        Arrange();
    }

    /// <inheritdoc/>
    protected override void OnViewportChanged(DrawEventArgs e)
    {
        base.OnViewportChanged(e);
        if (_isArranging)
        {
            return;
        }

        if (e.NewViewport.Size != e.OldViewport.Size)
        {
            // The last event of a change of size, in the course of which the scroll bar has moved the text to where it thinks best.
            (_isSettling, _size) = (false, e.NewViewport.Size);
            Arrange();
        }
        else if (!_isSettling && e.NewViewport.Y != e.OldViewport.Y && _starts.Count > 0)
        {
            // Scrolled: where the user is now is where to stay.
            _followsEnd = Viewport.Y + Viewport.Height >= _lines.Count;
            int message = _starts.FindLastIndex(start => start <= Viewport.Y);
            _top = (message, Viewport.Y - _starts[message]);
        }
    }

    /// <inheritdoc/>
    protected override bool OnDrawingContent(DrawContext? context)
    {
        Attribute plain = GetAttributeForRole(VisualRole.Normal);
        for (int row = 0; row < Viewport.Height && Viewport.Y + row < _lines.Count; row++)
        {
            TranscriptLine line = _lines[Viewport.Y + row];
            SetAttribute(plain with { Style = line.Style });
            Move(0, row);
            AddStr(line.Text);
        }

        return true;
    }

    private void MessagesChanged(object? sender, NotifyCollectionChangedEventArgs change)
    {
        foreach (MessageViewModel message in change.OldItems?.OfType<MessageViewModel>() ?? [])
        {
            message.PropertyChanged -= MessageChanged;
            _wrapped.Remove(message);
        }

        foreach (MessageViewModel message in change.NewItems?.OfType<MessageViewModel>() ?? [])
        {
            message.PropertyChanged += MessageChanged;
        }

        // A question that was just asked is looked at.
        _followsEnd = true;
        Arrange();
    }

    private void MessageChanged(object? sender, PropertyChangedEventArgs change)
    {
        _wrapped.Remove((MessageViewModel)sender!);
        Arrange();
    }

    private void Arrange()
    {
        if (_conversation is null || Viewport.Width <= 1)
        {
            return;
        }

        // One column is the scroll bar's, whether or not it is there.
        if (_width != Viewport.Width - 1)
        {
            _width = Viewport.Width - 1;
            _wrapped.Clear();
        }

        _lines.Clear();
        _starts.Clear();
        foreach (MessageViewModel message in _conversation.Messages)
        {
            if (!_wrapped.TryGetValue(message, out IReadOnlyList<TranscriptLine>? lines))
            {
                _wrapped[message] = lines = [.. Lines(message)];
            }

            _starts.Add(_lines.Count);
            _lines.AddRange(lines);
        }

        // What was at the top stays there, however the lines above it are broken now.
        int last = Math.Max(0, _lines.Count - Viewport.Height);
        int y = _followsEnd || _top.Message >= _starts.Count ? last : Math.Min(last, _starts[_top.Message] + _top.Line);
        _isArranging = true;
        SetContentSize(new Size(_width, Math.Max(1, _lines.Count)));
        Viewport = Viewport with { Y = y };
        _isArranging = false;
        SetNeedsDraw();
    }

    private IEnumerable<TranscriptLine> Lines(MessageViewModel message)
    {
        yield return new TranscriptLine(message.IsUser ? "You" : _model.Name.Length > 0 ? _model.Name : "Model", TextStyle.Bold);
        foreach (string line in TextWrap.Wrap(message.Text, _width))
        {
            yield return new TranscriptLine(line, TextStyle.None);
        }

        foreach (string line in message.Note is { Length: > 0 } note ? TextWrap.Wrap($"({note})", _width) : [])
        {
            yield return new TranscriptLine(line, TextStyle.Faint);
        }

        yield return new TranscriptLine(string.Empty, TextStyle.None);
    }
}
