using System.Diagnostics;
using System.Text;
using Vicuna.Managed.Compression;
using Vicuna.Managed.Tokenization;

namespace Vicuna.Managed.Tests.Compression;

public sealed class BpeTrainerTests
{
    private const int FirstText = 259;

    private static readonly string[] Fables =
    [
        "A fox and a crow sat on a wall. \"What a fine voice you must have,\" said the fox.",
        "The crow sang, the cheese fell, and the fox ran away with it in 12 or 21 leaps.",
        "ababab abab aaaa aaaaa  two  spaces, and 2 lines:\nthe end...",
        "Der Fuchs sa\u00df auf der M\u00e4uer \u4f60\u597d \U0001F600\U0001F600 na\u00efve e\u0301e\u0301.",
        "",
        " ",
    ];

    [Fact]
    public void Train_LaysPiecesOutAsSentencePieceDoes()
    {
        SentencePieceModel model = Train(Fables, new BpeTrainerOptions { Pieces = 350 });
        Assert.Equal(350, model.Count);
        Assert.Equal(["<unk>", "<s>", "</s>", "<0x00>"], model.Pieces[..4].ToArray());
        Assert.Equal([PieceType.Unknown, PieceType.Control, PieceType.Control, PieceType.Byte], model.Types[..4].ToArray());
        Assert.Equal("<0xFF>", model.Pieces[FirstText - 1]);
        Assert.Equal((1, 2, -1), (model.Options.BosId, model.Options.EosId, model.Options.PadId));
        Assert.True(model.Options is { ByteFallback: true, AddDummyPrefix: true, RemoveExtraWhitespaces: false, EscapeWhitespaces: true });
        int characters = Fables.SelectMany(text => text.EnumerateRunes()).Where(rune => rune.Value is not ('\n' or ' ')).Distinct().Count() + 1;
        for (int id = FirstText; id < model.Count; id++)
        {
            Assert.Equal(FirstText - id, model.Scores[id]);
            Assert.Equal(PieceType.Normal, model.Types[id]);
            Assert.Equal(id >= model.Count - characters, model.Pieces[id].EnumerateRunes().Count() == 1);
        }

        Assert.Equal("\u2581", model.Pieces[model.Count - characters]);
    }

    [Theory]
    [InlineData(true, 1, 16, true)]
    [InlineData(false, 1, 16, true)]
    [InlineData(false, 0.95, 16, false)]
    [InlineData(true, 0.8, 3, true)]
    [InlineData(true, 1, 2, false)]
    public void Train_OfTexts_FindsWhatAQuadraticTwinFinds(bool splitDigits, double coverage, int maxLength, bool prefix)
    {
        Random random = new(5);
        string[] texts = [.. Fables, .. Enumerable.Range(0, 30).Select(i => new string(random.GetItems<char>("aaabbc  121.,\u00e9", 3 * i)))];
        foreach (int merges in new[] { 0, 1, 45 })
        {
            BpeTrainerOptions options = new()
            {
                SplitDigits = splitDigits, CharacterCoverage = coverage, MaxPieceLength = maxLength, AddDummyPrefix = prefix,
            };
            NaiveBpeTrainer twin = new(texts, options);
            string[] expected = twin.Merges(merges);
            SentencePieceModel model = Train(texts, options with { Pieces = FirstText + twin.Characters.Length + merges });
            Assert.Equal(expected, model.Pieces.Slice(FirstText, merges).ToArray());
            Assert.Equal(twin.Characters, model.Pieces[(FirstText + merges)..].ToArray());
        }
    }

    [Theory]
    [InlineData("ab abc abcd bcd cd ab ab", 21)]
    [InlineData("aaaaaaaaaaaa aaaaaaa aaa", 8)]
    [InlineData("abcabc bcabca cabcab bca abc cab", 30)]
    public void Train_ToTheLastJoin_AgreesWithTheTwin(string text, int atMost)
    {
        NaiveBpeTrainer twin = new([text], new BpeTrainerOptions());
        string[] expected = twin.Merges(int.MaxValue);
        Assert.InRange(expected.Length, 5, atMost);
        int pieces = FirstText + twin.Characters.Length + expected.Length;
        Assert.Equal(expected, Train([text], new BpeTrainerOptions { Pieces = pieces }).Pieces.Slice(FirstText, expected.Length).ToArray());
        string message = Assert.Throws<ArgumentException>(() => BpeTrainer.Train([text], new BpeTrainerOptions { Pieces = pieces + 1 })).Message;
        Assert.StartsWith($"Expected texts that give {pieces + 1} pieces, found nothing left to merge after {pieces}.", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Train_OfJoinsAsFrequent_TakesTheShorterThenTheFirst()
    {
        SentencePieceModel model = Train(["dc dc ba ba"], new BpeTrainerOptions { Pieces = FirstText + 5 + 4 });
        Assert.Equal(["ba", "dc", "\u2581ba", "\u2581dc"], model.Pieces.Slice(FirstText, 4).ToArray());
        Assert.Equal(["\u2581", "a", "b", "c", "d"], model.Pieces[(FirstText + 4)..].ToArray());
    }

    [Fact]
    public void Train_OfTextsInAnyOrder_GivesTheSameBytes()
    {
        BpeTrainerOptions options = new() { Pieces = 360 };
        byte[] expected = BpeTrainer.Train(Fables, options);
        Assert.Equal(expected, BpeTrainer.Train(Fables, options));
        Assert.Equal(expected, BpeTrainer.Train(Fables.Reverse(), options));
        Assert.NotEqual(expected, BpeTrainer.Train(Fables, options with { SplitDigits = false }));
    }

    [Fact]
    public void Vocabulary_OfEveryKind_EncodesAnyTextWithoutLoss()
    {
        string[] texts = [.. Fables, "never seen: \u0416\u6f22\U0001F98A \0\t\r\n \u00a0 <s> </s> <0x41>  x  "];
        foreach (BpeTrainerOptions options in new BpeTrainerOptions[]
        {
            new() { Pieces = 350 }, new() { Pieces = 340, AddDummyPrefix = false }, new() { Pieces = 310, CharacterCoverage = 0.7 },
        })
        {
            SentencePieceTokenizer tokenizer = SentencePieceTokenizer.Load(BpeTrainer.Train(Fables, options), "trained");
            foreach (string text in texts)
            {
                IReadOnlyList<int> ids = tokenizer.Encode(text, addBos: true);
                Assert.Equal(text, tokenizer.Decode(ids));
                Assert.DoesNotContain(0, ids);
            }
        }
    }

    [Fact]
    public void Train_OfAFewMegabytes_TakesSeconds()
    {
        // Words by a power law, as languages have them.
        Random random = new(7);
        string[] words = [.. Enumerable.Range(0, 50_000).Select(_ => new string(random.GetItems<char>("etaoinshrdlucmfw", random.Next(2, 11))))];
        StringBuilder text = new();
        while (text.Length < 3_000_000)
        {
            text.Append(words[(int)(words.Length * Math.Pow(random.NextDouble(), 6))]).Append(' ');
        }

        long start = Stopwatch.GetTimestamp();
        SentencePieceModel model = Train([text.ToString()], new BpeTrainerOptions { Pieces = 2000 });
        TimeSpan taken = Stopwatch.GetElapsedTime(start);
        Assert.Equal(2000, model.Count);
        Assert.True(taken < TimeSpan.FromSeconds(20), $"took {taken}");
    }

    [Fact]
    public void Train_OfOneLongWord_TakesSeconds()
    {
        long start = Stopwatch.GetTimestamp();
        SentencePieceModel model = Train([new string(new Random(9).GetItems<char>("abcd", 1 << 18))], new BpeTrainerOptions { Pieces = 300 });
        Assert.Equal(300, model.Count);
        Assert.True(Stopwatch.GetElapsedTime(start) < TimeSpan.FromSeconds(20));
    }

    [Fact]
    public void Train_WithBadOptions_SaysWhatIsExpected()
    {
        foreach ((BpeTrainerOptions options, string says) in new (BpeTrainerOptions, string)[]
        {
            (new() { Pieces = 259 }, "260 to 1000000 Pieces"), (new() { Pieces = -1 }, "Pieces"), (new() { Pieces = 1_000_001 }, "Pieces"),
            (new() { CharacterCoverage = 0 }, "CharacterCoverage"), (new() { CharacterCoverage = 1.01 }, "CharacterCoverage"),
            (new() { CharacterCoverage = double.NaN }, "CharacterCoverage"),
            (new() { MaxPieceLength = 1 }, "MaxPieceLength"), (new() { MaxPieceLength = 1001 }, "MaxPieceLength"),
        })
        {
            Assert.Contains(says, Assert.Throws<ArgumentOutOfRangeException>(() => BpeTrainer.Train(Fables, options)).Message, StringComparison.Ordinal);
        }

        Assert.Throws<ArgumentNullException>(() => BpeTrainer.Train(null!));
        Assert.Throws<ArgumentException>(() => BpeTrainer.Train(["a", null!]));
        Assert.Contains(
            "at least 264 pieces for 5 characters, 256 bytes and 3 control pieces, found 263",
            Assert.Throws<ArgumentException>(() => BpeTrainer.Train(["abcd"], new BpeTrainerOptions { Pieces = 263 })).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => BpeTrainer.Train([]));
        Assert.ThrowsAny<OperationCanceledException>(() => BpeTrainer.Train(Fables, cancellationToken: new CancellationToken(canceled: true)));
    }

    private static SentencePieceModel Train(IEnumerable<string> texts, BpeTrainerOptions options) =>
        SentencePieceModel.Read(BpeTrainer.Train(texts, options), "trained");
}
