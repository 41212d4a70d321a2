using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Vicuna.Managed.Compression;
using Vicuna.Managed.Tests.Support;
using Vicuna.Managed.Tokenization;

namespace Vicuna.Managed.Tests.Compression;

/// <summary>
/// The training of byte-pair encoding as a description rather than a program: each step encodes all texts with the vocabulary so far, counts
/// neighbors, and adds the best join.
/// </summary>
internal sealed partial class NaiveBpeTrainer
{
    private readonly string[] _texts;
    private readonly BpeTrainerOptions _options;

    public NaiveBpeTrainer(IReadOnlyList<string> texts, BpeTrainerOptions options)
    {
        _texts = [.. texts];
        _options = options;
        string[] all =
        [
            .. texts.Where(text => text.Length > 0).SelectMany(text => (options.AddDummyPrefix ? " " + text : text).Replace(' ', '\u2581').EnumerateRunes())
                .Where(rune => !Rune.IsControl(rune)).Select(rune => rune.ToString()),
        ];
        List<string> characters = [];
        int covered = 0;
        foreach (IGrouping<string, string> group in all.GroupBy(c => c).OrderByDescending(g => g.Count()).ThenBy(g => Rune.GetRuneAt(g.Key, 0).Value))
        {
            if (covered < options.CharacterCoverage * all.Length)
            {
                characters.Add(group.Key);
                covered += group.Count();
            }
        }

        Characters = [.. characters];
    }

    public string[] Characters { get; }

    /// <summary>The first merged pieces, fewer where nothing is left.</summary>
    public string[] Merges(int count)
    {
        List<string> merges = [];
        while (merges.Count < count)
        {
            SentencePieceTokenizer tokenizer = Tokenizer(merges);
            Dictionary<string, int> joins = [];
            foreach (string text in _texts)
            {
                IReadOnlyList<int> ids = tokenizer.Encode(text, addBos: false);
                for (int i = 0; i + 1 < ids.Count; i++)
                {
                    string join = tokenizer.PieceText(ids[i]) + tokenizer.PieceText(ids[i + 1]);
                    if (tokenizer.TypeOf(ids[i]) == PieceType.Normal && tokenizer.TypeOf(ids[i + 1]) == PieceType.Normal && IsPiece(join))
                    {
                        joins[join] = joins.GetValueOrDefault(join) + 1;
                    }
                }
            }

            if (joins.Count == 0)
            {
                break;
            }

            merges.Add(joins.OrderByDescending(pair => pair.Value).ThenBy(pair => pair.Key.EnumerateRunes().Count())
                .ThenBy(pair => pair.Key, StringComparer.Ordinal).First().Key);
        }

        return [.. merges];
    }

    private bool IsPiece(string text) =>
        text.EnumerateRunes().Count() <= _options.MaxPieceLength
        && (LettersPattern().IsMatch(text) || OthersPattern().IsMatch(text) || (!_options.SplitDigits && DigitsPattern().IsMatch(text)));

    private SentencePieceTokenizer Tokenizer(List<string> merges) => SentencePieceTokenizer.Load(
        ModelProto.Start().AddRanked([.. merges, .. Characters])
            .With(model => model.Normalizer.AddRange(ModelProto.Varint(3, _options.AddDummyPrefix ? 1 : 0))).ToBytes(),
        string.Create(CultureInfo.InvariantCulture, $"{merges.Count} merges"));

    [GeneratedRegex(@"^\u2581?[\p{L}\p{M}]+$")]
    private static partial Regex LettersPattern();

    [GeneratedRegex(@"^\u2581?[^\p{L}\p{M}\p{Nd}\p{Cc}\u2581]+$")]
    private static partial Regex OthersPattern();

    [GeneratedRegex(@"^\u2581?\p{Nd}+$")]
    private static partial Regex DigitsPattern();
}
