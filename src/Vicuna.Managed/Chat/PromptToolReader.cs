using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Vicuna.Managed.Chat;

/// <summary>
/// Reads an answer of the form that <see cref="PromptTools.Schema"/> describes, as it comes: words are handed out at once, a call when it is whole. For one
/// answer and one thread at a time.
/// </summary>
public sealed class PromptToolReader
{
    // An answer in words begins so, but for white space.
    private const string Beginning = "{\"" + ToolSchema.Answer + "\":\"";
    private const int HexDigits = 4;

    private readonly StringBuilder _whole = new();
    private readonly StringBuilder _escape = new();
    private int _matched;
    private char _high;
    private State _state;

    private enum State
    {
        Beginning,
        Words,
        Escape,
        End,
        Call,
    }

    /// <summary>Whether the answer is words; null while that is not known yet.</summary>
    public bool? IsWords => _state switch
    {
        State.Beginning => null,
        State.Call => false,
        _ => true,
    };

    /// <summary>Takes the next piece of the model's text.</summary>
    /// <param name="piece">The piece, of any length.</param>
    /// <returns>The words in it, in plain text; empty where there are none, or none yet.</returns>
    public string Read(string piece)
    {
        ArgumentNullException.ThrowIfNull(piece);
        _whole.Append(piece);
        StringBuilder words = new();
        foreach (char character in piece)
        {
            switch (_state)
            {
                case State.Beginning:
                    Begin(character);
                    break;
                case State.Words when character == '"':
                    _state = State.End;
                    break;
                case State.Words when character == '\\':
                    _state = State.Escape;
                    break;
                case State.Words:
                    Add(words, character);
                    break;
                case State.Escape:
                    Unescape(words, character);
                    break;
                default:
                    break;
            }
        }

        if (_state == State.End)
        {
            AddLoneSurrogate(words);
        }

        return words.ToString();
    }

    /// <summary>The call, once everything has been read.</summary>
    /// <returns>The call; null where the answer is words, or was cut off before its end.</returns>
    public PromptToolCall? GetCall()
    {
        if (_state != State.Call)
        {
            return null;
        }

        try
        {
            using JsonDocument document = JsonDocument.Parse(_whole.ToString());
            JsonElement root = document.RootElement;
            return root.ValueKind == JsonValueKind.Object
                && root.TryGetProperty(ToolSchema.Tool, out JsonElement name) && name.ValueKind == JsonValueKind.String
                && root.TryGetProperty(ToolSchema.Arguments, out JsonElement arguments) && arguments.ValueKind == JsonValueKind.Object
                ? new PromptToolCall(name.GetString()!, arguments.GetRawText())
                : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private void Begin(char character)
    {
        if (character == Beginning[_matched])
        {
            _matched++;
            _state = _matched == Beginning.Length ? State.Words : State.Beginning;
        }
        else if (character is not (' ' or '\n' or '\r' or '\t'))
        {
            _state = State.Call;
        }
    }

    private void Unescape(StringBuilder words, char character)
    {
        if (_escape.Length == 0 && character != 'u')
        {
            Add(words, character switch
            {
                'b' => '\b',
                'f' => '\f',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                _ => character,
            });
            _state = State.Words;
            return;
        }

        _escape.Append(character);
        if (_escape.Length <= HexDigits)
        {
            return;
        }

        bool isCode = ushort.TryParse(_escape.ToString(1, HexDigits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ushort code);
        Add(words, isCode ? (char)code : '\uFFFD');
        _escape.Clear();
        _state = State.Words;
    }

    // Halves of a character that were escaped one by one leave together: no piece of text ends between them.
    private void Add(StringBuilder words, char character)
    {
        if (_high != 0 && char.IsLowSurrogate(character))
        {
            words.Append(_high).Append(character);
            _high = '\0';
            return;
        }

        AddLoneSurrogate(words);
        if (char.IsHighSurrogate(character))
        {
            _high = character;
        }
        else
        {
            words.Append(char.IsLowSurrogate(character) ? '\uFFFD' : character);
        }
    }

    private void AddLoneSurrogate(StringBuilder words)
    {
        if (_high != 0)
        {
            words.Append('\uFFFD');
            _high = '\0';
        }
    }
}
