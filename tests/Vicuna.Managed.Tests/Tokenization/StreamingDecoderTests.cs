using System.Buffers;
using System.Text;
using Vicuna.Managed.Tests.Support;
using Vicuna.Managed.Tokenization;

namespace Vicuna.Managed.Tests.Tokenization;

public sealed class StreamingDecoderTests
{
    [Theory]
    [MemberData(nameof(Vocabularies.Names), MemberType = typeof(Vocabularies))]
    public void Append_OfRandomIds_GivesTheTextOfAllBytesTogether(string name)
    {
        SentencePieceTokenizer tokenizer = Vocabularies.Load(name);
        Random random = new(9);
        StreamingDecoder stripping = new(tokenizer, tokenizer.AddDummyPrefix || tokenizer.RemoveExtraWhitespaces);
        StreamingDecoder keeping = new(tokenizer);
        int all = tokenizer.VocabularySize;
        int few = Math.Min(all, 262);
        for (int round = 0; round < 400; round++)
        {
            // Half of the ids are byte pieces, so that characters meet in part.
            int[] ids = [.. Enumerable.Range(0, random.Next(20)).Select(_ => random.Next(random.Next(2) == 0 ? few : all))];
            byte[] bytes = [.. ids.SelectMany(id => Bytes(tokenizer, id))];
            Assert.Equal(Encoding.UTF8.GetString(bytes), Stream(keeping, ids));
            Assert.Equal(tokenizer.Decode(ids), Stream(stripping, ids));
        }
    }

    [Fact]
    public void Append_OfTheBytesOfACharacter_GivesItWholeAtTheLast()
    {
        StreamingDecoder decoder = new(Vocabularies.Pico);
        byte[] bytes = Encoding.UTF8.GetBytes("é😀");
        List<string> parts = [];
        foreach (byte value in bytes)
        {
            parts.Add(decoder.Append(3 + value).ToString());
        }

        Assert.Equal(["", "é", "", "", "", "😀"], parts);
        Assert.False(decoder.HasPendingBytes);
        Assert.Equal("", decoder.Flush().ToString());
    }

    [Fact]
    public void Append_OfEveryPairAndTripleOfHardBytes_IsAsUtf8HasIt()
    {
        int[] hard = [0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xed, 0xef, 0xf0, 0xf1, 0xf4, 0xf5, 0xff];
        StreamingDecoder decoder = new(Vocabularies.Pico);
        foreach (int a in hard)
        {
            foreach (int b in hard)
            {
                foreach (int c in hard)
                {
                    string expected = Encoding.UTF8.GetString([(byte)a, (byte)b, (byte)c]);
                    Assert.Equal(expected, Stream(decoder, [3 + a, 3 + b, 3 + c]));
                }
            }
        }
    }

    [Fact]
    public void Append_AtTheStart_StripsOneSpaceOfText()
    {
        SentencePieceTokenizer tokenizer = SentencePieceTokenizer.Load(ModelProto.Start().AddRanked("\u2581", "\u2581\u2581", "\u2581a", "a").ToBytes(), "m");
        StreamingDecoder strip = new(tokenizer, stripLeadingSpace: true);
        StreamingDecoder keep = new(tokenizer);
        Assert.Equal(" a a", Stream(keep, [261, 261]));
        Assert.Equal("a a", Stream(strip, [261, 261]));
        Assert.Equal("a", Stream(strip, [1, 2, 261]));
        Assert.Equal(" a", Stream(strip, [259, 261]));
        Assert.Equal(" a", Stream(strip, [259, 1, 261]));
        Assert.Equal(" ", Stream(strip, [260]));
        Assert.Equal("a a", Stream(strip, [262, 261]));
        Assert.Equal("\n a", Stream(strip, [3 + '\n', 261]));
        Assert.Equal("  a", Stream(strip, [3 + ' ', 261]));
    }

    [Fact]
    public void Append_ToAVocabularyThatDropsSpaces_StripsUntilThereIsText()
    {
        SentencePieceTokenizer tokenizer = Vocabularies.Load("squeezed");
        Assert.True(tokenizer.TryGetId("\u2581", out int space));
        Assert.True(tokenizer.TryGetId("\u2581a", out int spaceA));
        Assert.Equal("a a", tokenizer.Decode([space, space, spaceA, spaceA]));
    }

    [Fact]
    public void Append_ToAWriter_WritesTheSame()
    {
        SentencePieceTokenizer tokenizer = Vocabularies.Pico;
        ArrayBufferWriter<char> text = new();
        StreamingDecoder decoder = new(tokenizer, stripLeadingSpace: true);
        foreach (int id in tokenizer.Encode("A fox: été.", addBos: true))
        {
            decoder.Append(id, text);
        }

        Assert.Equal("A fox: été.", text.WrittenSpan.ToString());
    }

    [Fact]
    public void Append_OnceWarm_AllocatesNothing()
    {
        SentencePieceTokenizer tokenizer = Vocabularies.Pico;
        StreamingDecoder decoder = new(tokenizer);
        int length = 0;
        long before = 0;
        for (int round = 0; round < 2; round++)
        {
            before = GC.GetAllocatedBytesForCurrentThread();
            for (int id = 0; id < tokenizer.VocabularySize; id++)
            {
                length += decoder.Append(id).Length;
            }
        }

        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 100);
        Assert.True(length > 1000);
    }

    private static string Stream(StreamingDecoder decoder, int[] ids)
    {
        decoder.Reset();
        StringBuilder text = new();
        foreach (int id in ids)
        {
            ReadOnlySpan<char> part = decoder.Append(id);
            Assert.False(!part.IsEmpty && (char.IsHighSurrogate(part[^1]) || char.IsLowSurrogate(part[0])), "half a character was given out");
            text.Append(part);
        }

        return text.Append(decoder.Flush()).ToString();
    }

    private static byte[] Bytes(SentencePieceTokenizer tokenizer, int id) => tokenizer.TypeOf(id) switch
    {
        PieceType.Control => [],
        PieceType.Byte => [Convert.FromHexString(tokenizer.PieceText(id)[3..5])[0]],
        PieceType.Unknown => Encoding.UTF8.GetBytes(" \u2047 "),
        _ => Encoding.UTF8.GetBytes(tokenizer.PieceText(id).Replace('\u2581', ' ')),
    };
}
