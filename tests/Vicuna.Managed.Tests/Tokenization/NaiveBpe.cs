using System.Text;
using Vicuna.Managed.Tokenization;

namespace Vicuna.Managed.Tests.Tokenization;

/// <summary>SentencePiece's BPE as a description rather than a program: lists of strings, every pair looked at for every merge, O(n²) and worse.</summary>
internal sealed class NaiveBpe(SentencePieceModel model)
{
    private readonly Dictionary<string, int> _text = TextPieces(model);
    private readonly Dictionary<string, (string Left, string Right)> _made = [];

    public List<int> Encode(string text)
    {
        _made.Clear();
        List<(string Text, bool Frozen)> symbols = Split(Normalize(text));
        for (int i = 0; i + 1 < symbols.Count; i++)
        {
            Score(symbols, i);
        }

        while (true)
        {
            int best = -1;
            float bestScore = 0;
            for (int i = 0; i + 1 < symbols.Count; i++)
            {
                if (Find(symbols, i) is int id && (best < 0 || model.Scores[id] > bestScore))
                {
                    (best, bestScore) = (i, model.Scores[id]);
                }
            }

            if (best < 0)
            {
                break;
            }

            symbols[best] = (symbols[best].Text + symbols[best + 1].Text, false);
            symbols.RemoveAt(best + 1);
            Score(symbols, best - 1);
            Score(symbols, best);
        }

        List<int> ids = [];
        foreach ((string symbol, _) in symbols)
        {
            Write(symbol, ids);
        }

        return ids;
    }

    private static Dictionary<string, int> TextPieces(SentencePieceModel model) =>
        Enumerable.Range(0, model.Count)
            .Where(id => model.Types[id] is PieceType.Normal or PieceType.UserDefined or PieceType.Unused)
            .ToDictionary(id => model.Pieces[id], StringComparer.Ordinal);

    private string Normalize(string text)
    {
        StringBuilder repaired = new();
        foreach (Rune rune in text.EnumerateRunes())
        {
            repaired.Append(rune);
        }

        text = repaired.ToString();
        if (model.Options.RemoveExtraWhitespaces)
        {
            while (text.Contains("  ", StringComparison.Ordinal))
            {
                text = text.Replace("  ", " ", StringComparison.Ordinal);
            }

            text = text.TrimStart(' ');
        }

        text = text.Length > 0 && model.Options.AddDummyPrefix ? " " + text : text;
        text = model.Options.EscapeWhitespaces ? text.Replace(' ', '\u2581') : text;
        return model.Options.RemoveExtraWhitespaces ? text.TrimEnd(model.Options.EscapeWhitespaces ? '\u2581' : ' ') : text;
    }

    private List<(string Text, bool Frozen)> Split(string text)
    {
        List<(string Text, bool Frozen)> symbols = [];
        while (text.Length > 0)
        {
            string? frozen = null;
            for (int id = 0; id < model.Count; id++)
            {
                string piece = model.Pieces[id];
                if (model.Types[id] == PieceType.UserDefined && text.StartsWith(piece, StringComparison.Ordinal) && piece.Length > (frozen?.Length ?? 0))
                {
                    frozen = piece;
                }
            }

            string symbol = frozen ?? Rune.GetRuneAt(text, 0).ToString();
            symbols.Add((symbol, frozen is not null));
            text = text[symbol.Length..];
        }

        return symbols;
    }

    private int? Find(List<(string Text, bool Frozen)> symbols, int i) =>
        !symbols[i].Frozen && !symbols[i + 1].Frozen && _text.TryGetValue(symbols[i].Text + symbols[i + 1].Text, out int id) ? id : null;

    private void Score(List<(string Text, bool Frozen)> symbols, int i)
    {
        if (i >= 0 && i + 1 < symbols.Count && Find(symbols, i) is not null)
        {
            _made[symbols[i].Text + symbols[i + 1].Text] = (symbols[i].Text, symbols[i + 1].Text);
        }
    }

    private void Write(string symbol, List<int> ids)
    {
        if (_text.TryGetValue(symbol, out int id))
        {
            if (model.Types[id] == PieceType.Unused && _made.TryGetValue(symbol, out (string Left, string Right) parts))
            {
                Write(parts.Left, ids);
                Write(parts.Right, ids);
                return;
            }

            ids.Add(id);
        }
        else if (model.Options.ByteFallback)
        {
            ids.AddRange(Encoding.UTF8.GetBytes(symbol).Select(value => model.FirstByteId + value));
        }
        else if (ids.Count == 0 || ids[^1] != model.UnknownId)
        {
            ids.Add(model.UnknownId);
        }
    }
}
