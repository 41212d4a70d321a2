using System.Text;
using Vicuna.Managed.Tests.Support;
using Vicuna.Managed.Tokenization;

namespace Vicuna.Managed.Tests.Fuzz;

/// <summary>Mutates <c>tokenizer.model</c> files: they are refused, or encode and decode any text.</summary>
public static class SentencePieceTarget
{
    private const string NastyText = "  aa</s><ab>abab\u2581\0\ud83d😀\ude00 <0x41>aaaaaaaabc\n\u2581\u2581 é漢\ufffd!!!! ";

    public static string Name => "sentencepiece";

    public static IReadOnlyList<byte[]> Seeds() =>
    [
        ModelProto.Start(byteFallback: false).AddRanked("a", "b", "ab", "\u2581", "\u2581a", "aa").ToBytes(),
        ModelProto.Start(byteFallback: false).AddRanked("a", "b", "\u2581", "é").Add("<ab>", 0, ModelProto.UserDefined).Add("aa", -1, ModelProto.Unused)
            .Add("aaaa", 1, ModelProto.Unused).Add("<|x|>", 0, ModelProto.UserDefined).ToBytes(),
        ModelProto.Start().AddRanked("a", "aa").ToBytes()[..4000],
        ModelProto.Start(byteFallback: false).With(m => m.Trainer.AddRange([.. ModelProto.Varint(43, -1), .. ModelProto.Varint(41, -1)])).ToBytes(),
        ModelProto.Start(byteFallback: false).With(m => m.Normalizer.AddRange(ModelProto.Varint(4, 1))).AddRanked("\u2581", "a").ToBytes(),
        ModelProto.Start(byteFallback: false).With(m => m.Normalizer.AddRange(ModelProto.Bytes(2, [4, 0, 0, 0, 1, 2, 3, 4]))).ToBytes(),
        [0x0a, 0x80, 0x80, 0x80, 0x80, 0x08],
        [],
    ];

    public static void Run(byte[] input)
    {
        SentencePieceTokenizer tokenizer;
        try
        {
            tokenizer = SentencePieceTokenizer.Load(input, "fuzz.model");
        }
        catch (ModelFormatException)
        {
            return;
        }

        IReadOnlyList<int> ids = tokenizer.Encode(NastyText, addBos: true);
        string text = tokenizer.Decode(ids);
        if (tokenizer.CountTokens(NastyText) != ids.Count)
        {
            throw new InvalidOperationException("CountTokens disagrees with Encode.");
        }

        for (int i = tokenizer.BosId is null ? 0 : 1; i < ids.Count; i++)
        {
            if (tokenizer.TypeOf(ids[i]) == PieceType.Control)
            {
                throw new InvalidOperationException($"Text became control piece {ids[i]}.");
            }
        }

        StreamingDecoder decoder = new(tokenizer);
        for (int id = Math.Max(0, tokenizer.VocabularySize - 300); id < tokenizer.VocabularySize; id++)
        {
            decoder.Append(id);
        }

        if (!Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text)).Equals(text, StringComparison.Ordinal))
        {
            throw new InvalidOperationException("Decoding gave half a character.");
        }
    }
}
