using System.Runtime.CompilerServices;
using Vicuna.Managed.Tokenization;

namespace Vicuna.Managed.Constraints;

/// <summary>A grammar for one vocabulary, with all that is remembered of it. Requests share it; one at a time is inside, for microseconds.</summary>
internal sealed class CompiledConstraint
{
    private static readonly ConditionalWeakTable<SentencePieceTokenizer, TokenTrie> Tries = [];
    private static readonly ConditionalWeakTable<SentencePieceTokenizer, TokenTrie> TriesAtStart = [];

    private readonly Lock _gate = new();
    private readonly SentencePieceTokenizer _tokenizer;
    private readonly PushdownMachine _machine;
    private readonly TokenMasks _masks;
    private readonly TokenMasks _masksAtStart;

    /// <summary>Prepares a grammar for a vocabulary, the beginning of its texts included.</summary>
    /// <param name="grammar">The grammar.</param>
    /// <param name="tokenizer">Has the vocabulary.</param>
    public CompiledConstraint(Grammar grammar, SentencePieceTokenizer tokenizer)
    {
        _tokenizer = tokenizer;
        _machine = new PushdownMachine(grammar);
        _masks = new TokenMasks(grammar, _machine, Tries.GetValue(tokenizer, static key => new TokenTrie(key, isAtStart: false)));
        _masksAtStart = new TokenMasks(grammar, _machine, TriesAtStart.GetValue(tokenizer, static key => new TokenTrie(key, isAtStart: true)));
        Start = _machine.Start;
        _masks.Prepare(Start, isWhole: true);
        _masksAtStart.Prepare(Start, isWhole: false);
    }

    /// <summary>Where every text begins.</summary>
    public Configuration Start { get; }

    /// <summary>Words of 64 bits that a mask of the vocabulary has.</summary>
    public int MaskLength => (_tokenizer.VocabularySize + 63) / 64;

    /// <summary>Whether every byte is a piece, so that no text is a dead end.</summary>
    public bool HasAllBytes => _masks.Trie.HasAllBytes;

    /// <summary>Finds the tokens that may come next; end-of-sequence ids are not among them. Safe for concurrent use.</summary>
    /// <param name="at">Where the text is.</param>
    /// <param name="isAtStart">Whether the next token's leading space is no part of the text.</param>
    /// <param name="mask">Receives the tokens as bits, <see cref="MaskLength"/> words.</param>
    public void Fill(Configuration at, bool isAtStart, Span<ulong> mask)
    {
        lock (_gate)
        {
            TokenMasks masks = isAtStart ? _masksAtStart : _masks;
            masks.Fill(at, mask);
            foreach (int token in masks.Trie.EmptyTokens)
            {
                mask[token >> 6] |= 1UL << token;
            }
        }
    }

    /// <summary>Takes a token. Safe for concurrent use.</summary>
    /// <param name="at">Where the text is.</param>
    /// <param name="token">The token.</param>
    /// <param name="isAtStart">Whether its leading space is no part of the text.</param>
    /// <returns>Where the text is then; null if the token is not allowed.</returns>
    public Configuration? Accept(Configuration at, int token, bool isAtStart)
    {
        if ((uint)token >= (uint)_tokenizer.VocabularySize || _tokenizer.TypeOf(token) is not (PieceType.Normal or PieceType.UserDefined or PieceType.Byte))
        {
            return null;
        }

        lock (_gate)
        {
            Configuration? now = at;
            foreach (byte value in TokenTrie.TextOf(_tokenizer, token, isAtStart))
            {
                now = now is null ? null : _machine.Step(now, value);
            }

            return now;
        }
    }
}
