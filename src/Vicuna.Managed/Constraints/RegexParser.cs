using System.Globalization;

namespace Vicuna.Managed.Constraints;

/// <summary>
/// Reads a regular expression: the part of ECMA-262's and .NET's syntax that describes a regular language. Lazy quantifiers describe the same language
/// as greedy ones; groups do not capture. Anything else is refused with its place.
/// </summary>
internal sealed class RegexParser
{
    private const int MaxLength = 16 * 1024;
    private const int MaxDepth = 64;
    private const int MaxCount = 1000;
    private const int MaxCountLength = 32;

    private static readonly CodePointSet Digits = CodePointSet.Of([('0', '9')]);
    private static readonly CodePointSet Word = CodePointSet.Of([('0', '9'), ('A', 'Z'), ('a', 'z'), ('_', '_')]);
    private static readonly CodePointSet Space = CodePointSet.Of(
    [
        ('\t', '\r'), (' ', ' '), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029), (0x202F, 0x202F), (0x205F, 0x205F),
        (0x3000, 0x3000), (0xFEFF, 0xFEFF),
    ]);
    private static readonly CodePointSet Any = CodePointSet.Of("\n\r\u2028\u2029").Complement();

    private readonly string _text;
    private readonly string _name;
    private int _at;
    private int _depth;

    private RegexParser(string text, string name) => (_text, _name) = (text, name);

    /// <summary>Reads an expression.</summary>
    /// <param name="text">The expression.</param>
    /// <param name="name">What it is called in messages.</param>
    /// <param name="isSearch">Whether text before and after is allowed where no anchor forbids it, as in JSON Schema; false: the whole text must match.</param>
    /// <exception cref="ArgumentException">It is malformed, too long or deep, or has a part that is not supported.</exception>
    public static Pattern Parse(string text, string name, bool isSearch)
    {
        if (text.Length > MaxLength)
        {
            throw new ArgumentException($"{name}: expected at most {MaxLength} characters, found {text.Length}.");
        }

        RegexParser parser = new(text, name);
        Pattern pattern = parser.ReadTop(isSearch);
        return parser._at == text.Length ? pattern : throw parser.Error("unexpected ')'");
    }

    // Alternatives, each with anchors of its own.
    private Pattern ReadTop(bool isSearch)
    {
        List<Pattern> options = [];
        do
        {
            bool fromStart = Skip('^');
            Pattern part = ReadSequence();
            bool toEnd = Skip('$');
            if (_at < _text.Length && _text[_at] is not ('|' or ')'))
            {
                throw Error("an anchor is supported at the beginning and the end only, found '$'", _at - 1);
            }

            Pattern anything = new Pattern.Repeat(new Pattern.Characters(CodePointSet.All), 0, null);
            options.Add(isSearch ? new Pattern.Sequence([fromStart ? Pattern.Empty : anything, part, toEnd ? Pattern.Empty : anything]) : part);
        }
        while (Skip('|'));
        return options.Count == 1 ? options[0] : new Pattern.Choice(options);
    }

    private Pattern ReadChoice()
    {
        List<Pattern> options = [];
        do
        {
            options.Add(ReadSequence());
        }
        while (Skip('|'));
        return options.Count == 1 ? options[0] : new Pattern.Choice(options);
    }

    private Pattern.Sequence ReadSequence()
    {
        List<Pattern> parts = [];
        while (_at < _text.Length && _text[_at] is not ('|' or ')' or '$'))
        {
            Pattern part = ReadAtom();
            parts.Add(ReadQuantifier(part));
        }

        return new Pattern.Sequence(parts);
    }

    private Pattern ReadAtom()
    {
        int start = _at;
        char c = _text[_at];
        switch (c)
        {
            case '(':
                return ReadGroup();
            case '[':
                return new Pattern.Characters(ReadClass());
            case '.':
                _at++;
                return new Pattern.Characters(Any);
            case '\\':
                return new Pattern.Characters(ReadEscape(inClass: false));
            case '*' or '+' or '?':
                throw Error($"nothing to repeat before '{c}'");
            case '^':
                throw Error("an anchor is supported at the beginning and the end only, found '^'");
            case '{' when TryReadCount(out _, out _):
                throw Error("nothing to repeat before '{'", start);
            default:
                return new Pattern.Characters(Single(ReadCodePoint()));
        }
    }

    private Pattern ReadGroup()
    {
        int start = _at++;
        if (Skip('?') && !Skip(':'))
        {
            // (?<name>...) is a group; lookaround and the rest are none.
            int end = _at + 1 < _text.Length && _text[_at] == '<' && _text[_at + 1] is not ('=' or '!') ? _text.IndexOf('>', _at) : -1;
            _at = end > 0 ? end + 1 : throw Error("lookaround, options and other special groups are not supported", start);
        }

        if (++_depth > MaxDepth)
        {
            throw Error($"expected groups at most {MaxDepth} deep", start);
        }

        Pattern inside = ReadChoice();
        _depth--;
        if (_at < _text.Length && _text[_at] == '$')
        {
            throw Error("an anchor is supported at the beginning and the end only, found '$'");
        }

        return Skip(')') ? inside : throw Error("a group is not closed", start);
    }

    private Pattern ReadQuantifier(Pattern part)
    {
        if (_at >= _text.Length)
        {
            return part;
        }

        int start = _at;
        (int least, int? most) = (0, (int?)null);
        switch (_text[_at])
        {
            case '*':
                _at++;
                break;
            case '+':
                _at++;
                least = 1;
                break;
            case '?':
                _at++;
                most = 1;
                break;
            case '{' when TryReadCount(out least, out most):
                break;
            default:
                return part;
        }

        if (least > MaxCount || most > MaxCount || least > (most ?? least))
        {
            throw Error($"expected a count of at most {MaxCount}, the least first, found {_text[start.._at]}", start);
        }

        Skip('?');
        return _at < _text.Length && _text[_at] is '*' or '+'
            ? throw Error("possessive and double quantifiers are not supported")
            : new Pattern.Repeat(part, least, most);
    }

    // A brace that is no count is a character, as in ECMA-262's web syntax and .NET.
    private bool TryReadCount(out int least, out int? most)
    {
        (least, most) = (0, null);
        // Counts are short: a long search would make many braces slow.
        int end = _text.IndexOf('}', _at, Math.Min(MaxCountLength, _text.Length - _at));
        if (end < 0)
        {
            return false;
        }

        string[] parts = _text[(_at + 1)..end].Split(',');
        if (parts.Length > 2 || !TryNumber(parts[0], out least) || (parts.Length == 2 && parts[1].Length > 0 && !TryNumber(parts[1], out _)))
        {
            return false;
        }

        most = parts.Length == 1 ? least : TryNumber(parts[1], out int given) ? given : null;
        _at = end + 1;
        return true;
    }

    private static bool TryNumber(string text, out int number)
    {
        bool isNumber = text.Length > 0 && text.All(char.IsAsciiDigit);
        // What does not fit is far beyond what is allowed.
        number = !isNumber ? 0 : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int value) ? value : int.MaxValue;
        return isNumber;
    }

    private CodePointSet ReadClass()
    {
        int start = _at++;
        bool isNegated = Skip('^');
        List<(int First, int Last)> ranges = [];
        bool isFirst = true;
        while (true)
        {
            if (_at >= _text.Length)
            {
                throw Error("a character class is not closed", start);
            }

            if (_text[_at] == ']' && !isFirst)
            {
                _at++;
                break;
            }

            isFirst = false;
            int place = _at;
            CodePointSet low = _text[_at] == '\\' ? ReadEscape(inClass: true) : Single(ReadCodePoint());
            if (_at + 1 < _text.Length && _text[_at] == '-' && _text[_at + 1] != ']')
            {
                _at++;
                CodePointSet high = _text[_at] == '\\' ? ReadEscape(inClass: true)
                    : _text[_at] == '[' ? throw Error("class subtraction is not supported")
                    : Single(ReadCodePoint());
                int from = OnlyValue(low, place);
                int to = OnlyValue(high, place);
                ranges.Add(from <= to ? (from, to) : throw Error("a range of characters is in reverse order", place));
            }
            else
            {
                ranges.AddRange(low.Ranges);
            }
        }

        CodePointSet set = CodePointSet.Of(ranges);
        set = isNegated ? set.Complement() : set;
        return set.IsEmpty ? throw Error("the character class is empty", start) : set;
    }

    private int OnlyValue(CodePointSet set, int place) =>
        set.Ranges is [(int first, int last)] && first == last ? first : throw Error("a range of characters needs single characters at its ends", place);

    private CodePointSet ReadEscape(bool inClass)
    {
        int start = _at++;
        if (_at >= _text.Length)
        {
            throw Error("an escape is not complete", start);
        }

        char c = _text[_at++];
        switch (c)
        {
            case 'd': return Digits;
            case 'D': return Digits.Complement();
            case 'w': return Word;
            case 'W': return Word.Complement();
            case 's': return Space;
            case 'S': return Space.Complement();
            case 't': return Single('\t');
            case 'n': return Single('\n');
            case 'r': return Single('\r');
            case 'f': return Single('\f');
            case 'v': return Single('\v');
            case '0' when _at >= _text.Length || !char.IsAsciiDigit(_text[_at]): return Single('\0');
            case 'b' when inClass: return Single('\b');
            case 'x': return Single(ReadHex(2, start));
            case 'u': return Single(ReadUnicode(start));
            default:
                return char.IsAsciiLetterOrDigit(c) ? throw Error($"the escape \\{c} is not supported", start) : Single(c);
        }
    }

    private int ReadUnicode(int start)
    {
        int value = ReadHex(4, start);
        if (!char.IsHighSurrogate((char)value) || _at + 1 >= _text.Length || _text[_at] != '\\' || _text[_at + 1] != 'u')
        {
            return value is >= 0xD800 and <= 0xDFFF ? throw Error("a surrogate is no character by itself", start) : value;
        }

        _at += 2;
        int low = ReadHex(4, start);
        return char.IsLowSurrogate((char)low) ? char.ConvertToUtf32((char)value, (char)low) : throw Error("a surrogate is no character by itself", start);
    }

    private int ReadHex(int digits, int start)
    {
        if (_at + digits > _text.Length || !int.TryParse(_text.AsSpan(_at, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out int value))
        {
            throw Error("an escape is not complete", start);
        }

        _at += digits;
        return value;
    }

    private int ReadCodePoint()
    {
        int start = _at;
        if (char.IsSurrogate(_text[_at]))
        {
            if (!char.IsSurrogatePair(_text, _at))
            {
                throw Error("a surrogate is no character by itself", start);
            }

            _at += 2;
            return char.ConvertToUtf32(_text, start);
        }

        return _text[_at++];
    }

    private static CodePointSet Single(int value) => CodePointSet.Of([(value, value)]);

    private bool Skip(char c)
    {
        bool found = _at < _text.Length && _text[_at] == c;
        _at += found ? 1 : 0;
        return found;
    }

    private ArgumentException Error(string problem, int? at = null) => new($"{_name}: {problem}, at character {at ?? _at}.");
}
