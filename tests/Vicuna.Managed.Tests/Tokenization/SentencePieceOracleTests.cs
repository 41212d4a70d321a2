using System.Text;
using Microsoft.ML.Tokenizers;
using Vicuna.Managed.Tests.Support;
using Vicuna.Managed.Tokenization;
using SentencePieceTokenizer = Vicuna.Managed.Tokenization.SentencePieceTokenizer;

namespace Vicuna.Managed.Tests.Tokenization;

public sealed class SentencePieceOracleTests
{
    private static readonly string[] Fragments =
    [
        "a", "b", "ab", "aba", "aaa", "bbb", "c", "abc", " ", "   ", "<ab>", "é", "é😀", "😀", "\u2581", "\n", "\0", "\ud83d", "\ude00", "</s>", "<0x41>",
        "x", "漢字", "the", "story", "!!!!", "====", "1234", "Once upon", "<unk>", "A", "AAAA", "\u00a0", "\t\t",
    ];

    [Theory]
    [MemberData(nameof(Vocabularies.Synthetic), MemberType = typeof(Vocabularies))]
    public void Encode_OfRandomTexts_IsTheDescriptionsResult(string name)
    {
        SentencePieceModel model = SentencePieceModel.Read(Vocabularies.Bytes(name), name);
        SentencePieceTokenizer tokenizer = new(model);
        NaiveBpe oracle = new(model);
        Random random = new(20231);
        for (int round = 0; round < 1500; round++)
        {
            string text = RandomText(random, random.Next(1, 24));
            Assert.True(oracle.Encode(text).SequenceEqual(tokenizer.Encode(text, addBos: false)), $"round {round}: {Escape(text)}");
        }
    }

    [Theory]
    [InlineData("aaab\u2581", 24, 6, 2)]
    [InlineData("ab", 60, 8, 5)]
    [InlineData("abc", 60, 5, 4)]
    public void Encode_OfRandomVocabularies_IsTheDescriptionsResult(string letters, int pieces, int maxLength, int unusedOfEight)
    {
        Random random = new(77);
        for (int round = 0; round < 200; round++)
        {
            ModelProto proto = ModelProto.Start(byteFallback: random.Next(2) == 0);
            HashSet<string> seen = [];
            for (int i = 0; i < pieces; i++)
            {
                string piece = new(random.GetItems<char>(letters, random.Next(1, maxLength)));
                int draw = random.Next(8);
                int type = draw < unusedOfEight ? ModelProto.Unused : draw == 7 && i % 4 == 0 ? ModelProto.UserDefined : ModelProto.Normal;
                if (seen.Add(piece))
                {
                    proto.Add(piece, random.Next(-4, 0), type);
                }
            }

            SentencePieceModel model = SentencePieceModel.Read(proto.ToBytes(), "random");
            SentencePieceTokenizer tokenizer = new(model);
            NaiveBpe oracle = new(model);
            for (int i = 0; i < 20; i++)
            {
                string text = new(random.GetItems<char>("aaaabbb c", random.Next(40)));
                Assert.True(oracle.Encode(text).SequenceEqual(tokenizer.Encode(text, addBos: false)), $"round {round}: {text}");
            }
        }
    }

    [Fact]
    public void Encode_WithLlamasVocabulary_IsTheDescriptionsResult()
    {
        SentencePieceModel model = SentencePieceModel.Read(Vocabularies.Bytes("llama"), "llama");
        SentencePieceTokenizer tokenizer = new(model);
        NaiveBpe oracle = new(model);
        Random random = new(5);
        for (int round = 0; round < 200; round++)
        {
            // The oracle looks through all pieces for user-defined ones, so few texts.
            string text = RandomText(random, random.Next(1, 6));
            Assert.True(oracle.Encode(text).SequenceEqual(tokenizer.Encode(text, addBos: false)), $"round {round}: {Escape(text)}");
        }
    }

    [Fact]
    public void Encode_AwayFromRunsOfEquals_IsTheResultOfMicrosoftsTokenizer()
    {
        string path = SharedFolder.Require("tokenizers/llama/tokenizer.model");
        SentencePieceTokenizer tokenizer = SentencePieceTokenizer.Load(path);
        using FileStream stream = File.OpenRead(path);
        LlamaTokenizer oracle = LlamaTokenizer.Create(stream);
        Random random = new(4711);
        string[] words =
        [
            "the", "Llama", "über", "naïve", "Привет", "мир", "日本語", "x1y2", "foo_bar", "it's", "(see", "p.7)", "🦙", "C#", "e=mc²", "don't", "\n",
            "½", "cafe\u0301", "</s>",
        ];
        for (int round = 0; round < 2000; round++)
        {
            string text = string.Join(' ', random.GetItems(words, random.Next(1, 14)));
            Assert.True(oracle.EncodeToIds(text).SequenceEqual(tokenizer.EncodeToIds(text)), Escape(text));
            Assert.Equal(oracle.Decode(tokenizer.EncodeToIds(text)), tokenizer.Decode(tokenizer.EncodeToIds(text)));
        }
    }

    private static string RandomText(Random random, int fragments)
    {
        StringBuilder text = new();
        for (int i = 0; i < fragments; i++)
        {
            text.Append(Fragments[random.Next(Fragments.Length)]);
        }

        return text.ToString();
    }

    private static string Escape(string text) => string.Concat(text.Select(c => c is > ' ' and < '\x7f' ? c.ToString() : $"\\u{(int)c:x4}"));
}
