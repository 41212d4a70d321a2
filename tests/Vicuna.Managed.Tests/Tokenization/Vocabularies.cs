using Vicuna.Managed.Tests.Support;
using Vicuna.Managed.Tokenization;

namespace Vicuna.Managed.Tests.Tokenization;

/// <summary>The vocabularies that tests run over: those of real models, and small ones for what no real model here has.</summary>
internal static class Vocabularies
{
    public static readonly string PicoPath = RepositoryFolder.Find("samples/models/pico-vicuna/tokenizer.model");

    public static TheoryData<string> Names => ["pico", "stories", "llama", "user-defined", "unused", "no-bytes", "squeezed", "unescaped"];

    public static TheoryData<string> Synthetic => ["pico", "user-defined", "unused", "no-bytes", "squeezed", "unescaped"];

    public static SentencePieceTokenizer Pico { get; } = SentencePieceTokenizer.Load(PicoPath);

    public static SentencePieceTokenizer Llama() => SentencePieceTokenizer.Load(SharedFolder.Require("tokenizers/llama/tokenizer.model"));

    public static byte[] Bytes(string name) => name switch
    {
        "pico" => File.ReadAllBytes(PicoPath),
        "stories" => File.ReadAllBytes(SharedFolder.Require("models/stories260k/tokenizer.model")),
        "llama" => File.ReadAllBytes(SharedFolder.Require("tokenizers/llama/tokenizer.model")),
        "user-defined" => ModelProto.Start().AddRanked("ab", "a", "b", "\u2581", "\u2581a", "aa", "bb", "aab", "\u2581\u2581", "ba", "aaaa")
            .Add("<ab>", 0, ModelProto.UserDefined).Add("aba", 0, ModelProto.UserDefined).Add("abab", 0, ModelProto.UserDefined)
            .Add("c", 0, ModelProto.UserDefined).Add("b\u2581", 0, ModelProto.UserDefined).Add("é😀", 0, ModelProto.UserDefined).ToBytes(),
        "unused" => ModelProto.Start().AddRanked("a", "b", "c", "\u2581").Add("bc", -2).Add("bb", -1)
            .Add("ab", -1, ModelProto.Unused).Add("aa", -1, ModelProto.Unused).Add("aaa", -3, ModelProto.Unused).Add("abc", 0, ModelProto.Unused)
            .Add("aaaa", -1, ModelProto.Unused).Add("é", 0, ModelProto.Unused).Add("bbb", -1, ModelProto.Unused)
            .Add("\u2581a", -1, ModelProto.Unused).ToBytes(),
        "no-bytes" => ModelProto.Start(byteFallback: false)
            .Add("a").Add("b").Add("ab").Add("ba").Add("aba").Add("aa").Add("\u2581").Add("\u2581\u2581").ToBytes(),
        "squeezed" => ModelProto.Start().AddRanked("ab", "a", "b", "\u2581a", "\u2581\u2581", "\u2581")
            .With(m => m.Normalizer.AddRange(ModelProto.Varint(4, 1))).ToBytes(),
        "unescaped" => ModelProto.Start().AddRanked(" a", "a", "b", " b", "  ", "ab")
            .With(m => m.Normalizer.AddRange([.. ModelProto.Varint(3, 0), .. ModelProto.Varint(5, 0)])).ToBytes(),
        _ => throw new ArgumentOutOfRangeException(nameof(name)),
    };

    public static SentencePieceTokenizer Load(string name) => SentencePieceTokenizer.Load(Bytes(name), name);
}
