using Vicuna.Managed.Checkpoints;
using Vicuna.Managed.Tokenization;
using LlamaTokenizer = Microsoft.ML.Tokenizers.LlamaTokenizer;

namespace Vicuna.Managed.Tests.Checkpoints;

public sealed class SyntheticVocabularyTests
{
    [Theory]
    [InlineData(354)]
    [InlineData(1024)]
    [InlineData(32000)]
    [InlineData(100_000)]
    public void Create_OfAnySize_IsReadBackAsItWasWritten(int count)
    {
        SentencePieceModel made = SyntheticVocabulary.Create(count);
        SentencePieceModel read = SentencePieceModel.Read(SentencePieceModelWriter.Write(made), "tokenizer.model");
        Assert.Equal(count, read.Count);
        Assert.Equal(made.Pieces.ToArray(), read.Pieces.ToArray());
        Assert.Equal(made.Scores.ToArray(), read.Scores.ToArray());
        Assert.Equal(made.Types.ToArray(), read.Types.ToArray());
        Assert.Equal(made.Options, read.Options);
        Assert.Equal((0, 3, 1, 2, -1), (read.UnknownId, read.FirstByteId, read.Options.BosId, read.Options.EosId, read.Options.PadId));
        Assert.True(read.Options is { ByteFallback: true, AddDummyPrefix: true, RemoveExtraWhitespaces: false, EscapeWhitespaces: true });
        Assert.Equal(made.Scores[259..].ToArray().Order().Reverse(), made.Scores[259..].ToArray());
    }

    [Theory]
    [InlineData(354)]
    [InlineData(700)]
    [InlineData(20_000)]
    [InlineData(32000)]
    public void Encode_OfEveryWord_GivesItsPieceAlone(int count)
    {
        SentencePieceModel model = SyntheticVocabulary.Create(count);
        SentencePieceEncoder encoder = new(model);
        for (int id = 3 + 256; id < count; id++)
        {
            EncoderWorkspace work = EncoderWorkspace.Rent();
            encoder.Encode(model.Pieces[id], normalize: false, work);
            Assert.Equal(1, work.Tokens.Length);
            Assert.Equal(id, work.Tokens[0].Id);
            work.Return();
        }
    }

    [Fact]
    public void Write_GivesAFileThatAnotherReaderTakesAndEncodesAlike()
    {
        SentencePieceModel model = SyntheticVocabulary.Create(32000);
        using MemoryStream file = new(SentencePieceModelWriter.Write(model));
        LlamaTokenizer other = LlamaTokenizer.Create(file, addBeginOfSentence: true, addEndOfSentence: false);
        SentencePieceTokenizer own = new(model, addBos: true);
        string words = string.Concat(model.Pieces[^50..].ToArray()).Replace('\u2581', ' ');
        foreach (string text in new[] { "bada kuko", "lorem ipsum", "x" + words })
        {
            Assert.Equal(other.EncodeToIds(text), own.Encode(text, addBos: true));
        }
    }

    [Fact]
    public void Encode_OfTextOutsideTheVocabulary_IsSpelledInBytesAndComesBack()
    {
        SentencePieceTokenizer tokenizer = new(SyntheticVocabulary.Create(32000), addBos: true);
        const string text = "Bada  kuko: 7 µm \n\u4f60";
        Assert.Equal(text, tokenizer.Decode(tokenizer.Encode(text, addBos: true)));
    }
}
