using System.Buffers;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Vicuna.Managed.Tests.Support;
using Vicuna.Managed.Tokenization;

namespace Vicuna.Managed.Tests.Tokenization;

public sealed class SentencePieceTokenizerTests
{
    [Fact]
    public void Encode_OfLlamaCppsVectors_GivesTheirIds()
    {
        SentencePieceTokenizer tokenizer = Vocabularies.Llama();
        string[] texts = File.ReadAllText(SharedFolder.Require("tokenizers/llama/vectors.inp")).Split("\n__ggml_vocab_test__\n");
        string[] expected = File.ReadAllLines(SharedFolder.Require("tokenizers/llama/vectors.out"));
        Assert.Equal(46, expected.Length);
        for (int i = 0; i < expected.Length; i++)
        {
            int[] ids = [.. expected[i].Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(id => int.Parse(id, CultureInfo.InvariantCulture))];
            Assert.True(ids.SequenceEqual(tokenizer.Encode(texts[i], addBos: false)), $"vector {i}: '{texts[i]}'");
            Assert.Equal(texts[i], tokenizer.Decode(ids));
        }
    }

    [Theory]
    [InlineData("", new int[0])]
    [InlineData("Hello", new[] { 15043 })]
    [InlineData(" Hello", new[] { 29871, 15043 })]
    [InlineData("  Hello", new[] { 259, 15043 })]
    [InlineData("\n", new[] { 29871, 13 })]
    [InlineData("😀", new[] { 29871, 243, 162, 155, 131 })]
    [InlineData("\u2581Hello", new[] { 29871, 15043 })]
    [InlineData("!!!!!!", new[] { 1738, 6824, 21004 })]
    [InlineData("USER", new[] { 3148, 1001 })]
    [InlineData("Hello world", new[] { 15043, 3186 })]
    public void Encode_OfKnownTexts_GivesLlamasIds(string text, int[] expected)
    {
        SentencePieceTokenizer tokenizer = Vocabularies.Llama();
        Assert.Equal(expected, tokenizer.Encode(text, addBos: false));
        Assert.Equal([1, .. expected], tokenizer.Encode(text, addBos: true));
        Assert.Equal([1, .. expected], tokenizer.EncodeToIds(text));
    }

    [Fact]
    public void Encode_OfALoneSurrogate_IsThatOfTheReplacementCharacter()
    {
        SentencePieceTokenizer tokenizer = Vocabularies.Llama();
        Assert.Equal([29871, 30140], tokenizer.Encode("\ufffd", addBos: false));
        Assert.Equal([29871, 30140], tokenizer.Encode("\ud83d", addBos: false));
        Assert.Equal(tokenizer.Encode("a\ufffdb\ufffd\ufffd😀\ufffd", addBos: false), tokenizer.Encode("a\ude00b\ude00\ud83d😀\ud83d", addBos: false));
    }

    [Fact]
    public void Encode_OfControlPiecesInText_SpellsThem()
    {
        SentencePieceTokenizer tokenizer = Vocabularies.Llama();
        IReadOnlyList<int> ids = tokenizer.Encode("Hi</s>USER: <s> <unk> <0x41> x", addBos: false);
        Assert.Equal([6324, 829, 29879, 29958], ids.Take(4));
        Assert.DoesNotContain(ids, id => tokenizer.TypeOf(id) is PieceType.Control or PieceType.Unknown or PieceType.Byte);
        Assert.Equal("Hi</s>USER: <s> <unk> <0x41> x", tokenizer.Decode(ids));
    }

    [Fact]
    public void Encode_OfTheTrainedModelsPrompts_GivesTheGoldenIds()
    {
        SentencePieceTokenizer tokenizer = SentencePieceTokenizer.Load(SharedFolder.Require("models/stories260k/tokenizer.model"));
        using JsonDocument golden = JsonDocument.Parse(File.ReadAllBytes(SharedFolder.Require("goldens/stories260k.json")));
        int count = 0;
        foreach (JsonElement prompt in golden.RootElement.GetProperty("prompts").EnumerateArray().Append(golden.RootElement.GetProperty("perplexity")))
        {
            int[] expected = [.. prompt.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32())];
            string text = prompt.GetProperty("text").GetString()!;
            Assert.Equal(expected, tokenizer.Encode(text, addBos: true));
            Assert.Equal(text, tokenizer.Decode(expected));
            count++;
        }

        Assert.Equal(4, count);
    }

    [Fact]
    public void Decode_OfKnownIds_GivesTheText()
    {
        SentencePieceTokenizer tokenizer = Vocabularies.Llama();
        Assert.Equal("Hello world", tokenizer.Decode([15043, 3186]));
        Assert.Equal("Hello world", tokenizer.Decode([1, 15043, 3186, 2]));
        Assert.Equal("", tokenizer.Decode([]));
        Assert.Equal(" Hello", tokenizer.Decode([29871, 15043]));
        Assert.Equal("😀", tokenizer.Decode([29871, 243, 162, 155, 131]));
        Assert.Equal("\ufffd", tokenizer.Decode([243, 162]));
        Assert.Equal("\ufffd world", tokenizer.Decode([243, 3186]));
        Assert.Equal(" \u2047 ", tokenizer.Decode([0]));
        Assert.Equal("▁Hello", tokenizer.PieceText(15043));
        Assert.Equal("<0x0A>", tokenizer.PieceText(13));
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(-5)]
    [InlineData(1024)]
    [InlineData(int.MaxValue)]
    [InlineData(int.MinValue)]
    public void Decode_OfAnIdOutOfRange_NamesTheIdAndTheSize(int id)
    {
        SentencePieceTokenizer tokenizer = Vocabularies.Pico;
        Action[] calls =
        [
            () => tokenizer.Decode([5, id]),
            () => tokenizer.Decode([id], new char[9], out _, out _),
            () => tokenizer.PieceText(id),
            () => tokenizer.TypeOf(id),
            () => new StreamingDecoder(tokenizer).Append(id),
        ];
        foreach (Action call in calls)
        {
            string message = Assert.Throws<ArgumentOutOfRangeException>(call).Message;
            Assert.Contains($"found {id}", message, StringComparison.Ordinal);
            Assert.Contains("1024 pieces", message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void SpecialIds_OfThePicoModel_AreLlamas()
    {
        SentencePieceTokenizer tokenizer = Vocabularies.Pico;
        Assert.Equal((1024, 1, 2, 0, null), (tokenizer.VocabularySize, tokenizer.BosId, tokenizer.EosId, tokenizer.UnknownId, tokenizer.PadId));
        Assert.True(tokenizer.AddBos);
        Assert.True(tokenizer.AddDummyPrefix);
        Assert.Equal(PieceType.Control, tokenizer.TypeOf(2));
        Assert.True(tokenizer.TryGetId("</s>", out int eos));
        Assert.Equal(2, eos);
        Assert.False(tokenizer.TryGetId("<|im_end|>", out _));
    }

    [Theory]
    [MemberData(nameof(Vocabularies.Names), MemberType = typeof(Vocabularies))]
    public void Decode_OfAnEncodedText_IsTheText(string name)
    {
        SentencePieceTokenizer tokenizer = Vocabularies.Load(name);
        string text = name is "no-bytes" ? "ab  ba a" : name is "squeezed" ? "é ab\n😀 \0 b" : "  é ab \n 😀  \0 b ";
        Assert.Equal(text, tokenizer.Decode(tokenizer.Encode(text, addBos: true)));
    }

    [Theory]
    [InlineData("x", 1 << 20)]
    [InlineData("A", 1 << 20)]
    [InlineData(" ", 1 << 20)]
    [InlineData("ab", 1 << 19)]
    [InlineData("😀", 1 << 18)]
    public void Encode_OfAMegabyteOfOneLetter_TakesNearlyLinearTime(string unit, int count)
    {
        string text = string.Concat(Enumerable.Repeat(unit, count));
        foreach (SentencePieceTokenizer tokenizer in new[] { Vocabularies.Pico, Vocabularies.Load("unused"), Vocabularies.Load("user-defined") })
        {
            long start = Stopwatch.GetTimestamp();
            IReadOnlyList<int> ids = tokenizer.Encode(text, addBos: false);
            TimeSpan taken = Stopwatch.GetElapsedTime(start);
            Assert.Equal(text, tokenizer.Decode(ids));

            // Half a second where nothing else runs; quadratic time would be hours.
            Assert.True(taken < TimeSpan.FromSeconds(10), $"took {taken}");
        }
    }

    [Theory]
    [InlineData('x')]
    [InlineData('A')]
    [InlineData(' ')]
    public void Encode_OfAMegabyteWithLlamasVocabulary_TakesNearlyLinearTime(char letter)
    {
        SentencePieceTokenizer tokenizer = Vocabularies.Llama();
        string text = new(letter, 1 << 20);
        long start = Stopwatch.GetTimestamp();
        IReadOnlyList<int> ids = tokenizer.Encode(text, addBos: false);
        TimeSpan taken = Stopwatch.GetElapsedTime(start);
        Assert.Equal(text, tokenizer.Decode(ids));
        Assert.True(taken < TimeSpan.FromSeconds(10), $"took {taken}");
    }

    [Fact]
    public void Encode_IntoABuffer_AllocatesNothingOnceWarm()
    {
        SentencePieceTokenizer tokenizer = Vocabularies.Pico;
        string text = string.Concat(Enumerable.Repeat("Once upon a time there was a fox named Anna, 😀 who said: ééé!!!! ", 400));
        ArrayBufferWriter<int> ids = new(1 << 17);
        int count = tokenizer.Encode(text, addBos: true, ids);
        Assert.True(count > 10_000, $"{count} tokens are too few for the test");
        Assert.Equal(tokenizer.Encode(text, addBos: true), ids.WrittenSpan.ToArray());
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 3; i++)
        {
            ids.ResetWrittenCount();
            tokenizer.Encode(text, addBos: true, ids);
        }

        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 200);
    }

    [Fact]
    public void Encode_FromManyThreads_GivesTheSameIds()
    {
        SentencePieceTokenizer tokenizer = Vocabularies.Load("unused");
        Random random = new(3);
        string[] texts = [.. Enumerable.Range(0, 50).Select(i => new string(random.GetItems<char>("aaabbc é", 10 * i)))];
        int[][] expected = [.. texts.Select(text => tokenizer.Encode(text, addBos: true).ToArray())];
        int wrong = 0;
        Thread[] threads = [.. Enumerable.Range(0, 8).Select(_ => new Thread(() =>
        {
            for (int i = 0; i < 1000; i++)
            {
                int at = i % texts.Length;
                if (!expected[at].SequenceEqual(tokenizer.Encode(texts[at], addBos: true)) || tokenizer.CountTokens(texts[at]) != expected[at].Length)
                {
                    Interlocked.Increment(ref wrong);
                }
            }
        }))];
        foreach (Thread thread in threads)
        {
            thread.Start();
        }

        foreach (Thread thread in threads)
        {
            thread.Join();
        }

        Assert.Equal(0, wrong);
    }

    [Fact]
    public void Encode_OfALongChainOfUnusedPieces_SplitsWithoutRecursion()
    {
        // x^k out of x^(k-1) and x for every k: the splits nest as deep as the longest piece.
        ModelProto proto = ModelProto.Start().Add("x");
        for (int k = 2; k <= 4000; k++)
        {
            proto.Add(new string('x', k), k, ModelProto.Unused);
        }

        SentencePieceTokenizer tokenizer = SentencePieceTokenizer.Load(proto.ToBytes(), "chain");
        IReadOnlyList<int> ids = tokenizer.Encode(new string('x', 3999), addBos: false);
        Assert.Equal(Enumerable.Repeat(259, 3999), ids.TakeLast(3999));
    }
}
