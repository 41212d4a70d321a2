using System.Buffers;
using Microsoft.ML.Tokenizers;
using Vicuna.Managed.Tests.Support;
using SentencePieceTokenizer = Vicuna.Managed.Tokenization.SentencePieceTokenizer;

namespace Vicuna.Managed.Tests.Tokenization;

/// <summary>The members that Microsoft.ML.Tokenizers defines, called through its base class.</summary>
public sealed class TokenizerBaseClassTests
{
    private const string Text = "Hello world 😀 été";

    [Fact]
    public void EncodeToTokens_OfAText_GivesPiecesAndTheirPlaces()
    {
        Tokenizer tokenizer = Vocabularies.Pico;
        IReadOnlyList<EncodedToken> tokens = tokenizer.EncodeToTokens(Text, out string? normalized);
        Assert.Equal("\u2581Hello\u2581world\u2581😀\u2581été", normalized);
        Assert.Equal(new EncodedToken(1, "<s>", new Range(0, 0)), tokens[0]);
        Assert.Equal(tokenizer.EncodeToIds(Text), tokens.Select(token => token.Id));
        int end = 0;
        foreach (EncodedToken token in tokens.Skip(1))
        {
            string part = normalized![token.Offset];
            bool isByte = token.Value.StartsWith("<0x", StringComparison.Ordinal);
            Assert.True(isByte ? part is "😀" or "é" : part == token.Value, $"{token.Value} stands for {part}");
            Assert.True(token.Offset.Start.Value == end || isByte);
            end = token.Offset.End.Value;
        }

        Assert.Equal(normalized!.Length, end);
        Assert.Contains(tokens, token => token.Value == "<0xF0>");
    }

    [Fact]
    public void EncodeToTokens_WithoutNormalization_AddsNoPrefix()
    {
        Tokenizer tokenizer = Vocabularies.Pico;
        IReadOnlyList<EncodedToken> tokens = tokenizer.EncodeToTokens("a a", out string? normalized, considerNormalization: false);
        Assert.Null(normalized);
        Assert.Equal([1, .. tokenizer.EncodeToIds("a a", considerNormalization: false).Skip(1)], tokens.Select(token => token.Id));
        Assert.Equal(["<s>", "a", "<0x20>", "a"], tokens.Select(token => token.Value));
    }

    [Fact]
    public void EncodeToIds_UpToALimit_StopsBetweenCharacters()
    {
        Tokenizer tokenizer = Vocabularies.Pico;
        IReadOnlyList<int> all = tokenizer.EncodeToIds(Text);
        IReadOnlyList<EncodedToken> tokens = tokenizer.EncodeToTokens(Text, out _);
        for (int limit = 1; limit <= all.Count + 1; limit++)
        {
            IReadOnlyList<int> ids = tokenizer.EncodeToIds(Text, limit, out string? normalized, out int consumed);
            Assert.Equal(all.Take(ids.Count), ids);
            Assert.InRange(ids.Count, Math.Min(Math.Max(limit - 3, 1), all.Count), limit);
            Assert.Equal(ids.Count == 1 ? 0 : tokens[ids.Count - 1].Offset.End.Value, consumed);
            Assert.False(consumed < normalized!.Length && char.IsLowSurrogate(normalized[consumed]));
            Assert.True(ids.Count == all.Count || tokens[ids.Count].Offset.Start.Value == consumed, "a character was cut");
            Assert.Equal(consumed, tokenizer.GetIndexByTokenCount(Text, limit, out string? same, out int count));
            Assert.Equal((normalized, ids.Count), (same, count));
        }
    }

    [Fact]
    public void GetIndexByTokenCountFromEnd_UpToALimit_CountsFromTheEnd()
    {
        Tokenizer tokenizer = Vocabularies.Pico;
        IReadOnlyList<EncodedToken> tokens = tokenizer.EncodeToTokens(Text, out string? normalized);
        for (int limit = 1; limit <= tokens.Count + 1; limit++)
        {
            int index = tokenizer.GetIndexByTokenCountFromEnd(Text, limit, out string? same, out int count);
            Assert.Equal(normalized, same);
            Assert.InRange(count, 0, limit);
            Assert.Equal(index, count == tokens.Count ? 0 : count == 0 ? normalized!.Length : tokens[^count].Offset.Start.Value);
            Assert.True(count == limit || count == tokens.Count || limit - count < 4, $"{count} of {limit}");
        }
    }

    [Fact]
    public void CountTokens_OfTexts_CountsBosToo()
    {
        Tokenizer tokenizer = Vocabularies.Pico;
        Assert.Equal(1, tokenizer.CountTokens(""));
        Assert.Equal(tokenizer.EncodeToIds(Text).Count, tokenizer.CountTokens(Text));
        Assert.Equal(tokenizer.EncodeToIds(Text).Count, tokenizer.CountTokens(Text.AsSpan()));
        Assert.Equal([1], tokenizer.EncodeToIds(""));
        Assert.Equal([], Vocabularies.Pico.Encode("", addBos: false));
    }

    [Theory]
    [InlineData("Hello world")]
    [InlineData("The fox, and nine dogs: été 😀")]
    public void BaseMembers_OfCommonTexts_AgreeWithMicrosoftsTokenizer(string text)
    {
        string path = SharedFolder.Require("tokenizers/llama/tokenizer.model");
        using FileStream stream = File.OpenRead(path);
        LlamaTokenizer theirs = LlamaTokenizer.Create(stream);
        Tokenizer ours = SentencePieceTokenizer.Load(path);
        IReadOnlyList<EncodedToken> expected = theirs.EncodeToTokens(text, out string? theirNormalized);
        IReadOnlyList<EncodedToken> actual = ours.EncodeToTokens(text, out string? ourNormalized);
        Assert.Equal(theirNormalized, ourNormalized);
        Assert.Equal(expected.Select(token => (token.Id, token.Value)), actual.Select(token => (token.Id, token.Value)));
        Assert.Equal(theirs.CountTokens(text), ours.CountTokens(text));
        for (int limit = 1; limit < 8; limit++)
        {
            Assert.Equal(theirs.EncodeToIds(text, limit, out _, out int theirEnd), ours.EncodeToIds(text, limit, out _, out int ourEnd));
            Assert.Equal(theirEnd, ourEnd);
        }
    }

    [Fact]
    public void Decode_IntoASpan_StopsAfterWholeCharacters()
    {
        Tokenizer tokenizer = Vocabularies.Pico;
        IReadOnlyList<int> ids = tokenizer.EncodeToIds(Text);
        for (int size = 0; size <= Text.Length + 1; size++)
        {
            char[] destination = new char[size];
            OperationStatus status = tokenizer.Decode(ids, destination, out int consumed, out int written);
            Assert.Equal(size >= Text.Length ? OperationStatus.Done : OperationStatus.DestinationTooSmall, status);
            Assert.Equal(tokenizer.Decode(ids.Take(consumed)), destination.AsSpan(0, written).ToString());
            Assert.StartsWith(destination.AsSpan(0, written).ToString(), Text, StringComparison.Ordinal);
        }

        Assert.Equal(OperationStatus.Done, tokenizer.Decode([3 + 0xe2, 3 + 0x82], new char[4], out int all, out int characters));
        Assert.Equal((2, 1), (all, characters));
        Assert.Equal(OperationStatus.DestinationTooSmall, tokenizer.Decode([3 + 0xe2, 3 + 0x82], [], out all, out characters));
        Assert.Equal((0, 0), (all, characters));
    }
}
