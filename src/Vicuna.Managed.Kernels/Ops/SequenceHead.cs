namespace Vicuna.Managed.Kernels.Ops;

/// <summary>One head of one sequence: the inputs of <see cref="SequenceAttention"/>, seen in the arrays that hold all heads of all tokens.</summary>
internal readonly ref struct SequenceHead
{
    /// <summary>Q after rotation, f32 <c>[Length, QueryStride]</c> from the head's first element on.</summary>
    public required ReadOnlySpan<float> Queries { get; init; }

    /// <summary>K after rotation, f32 <c>[Length, KeyStride]</c> from the head's first element on.</summary>
    public required ReadOnlySpan<float> Keys { get; init; }

    /// <summary>V, f32 <c>[Length, KeyStride]</c> from the head's first element on.</summary>
    public required ReadOnlySpan<float> Values { get; init; }

    /// <summary>Elements between two tokens in Q and in all gradients.</summary>
    public required int QueryStride { get; init; }

    /// <summary>Elements between two tokens in K and V.</summary>
    public required int KeyStride { get; init; }

    /// <summary>Tokens of the sequence.</summary>
    public required int Length { get; init; }

    /// <summary>d, elements of the head.</summary>
    public required int HeadDim { get; init; }

    /// <summary>Factor of the scores, 1 / √d.</summary>
    public required float Scale { get; init; }

    /// <summary>Positions that a token attends to, itself included.</summary>
    public required int Window { get; init; }

    /// <summary>The first key that a token attends to.</summary>
    /// <param name="token">Number of the token in the sequence, from 0.</param>
    public int FirstKey(int token) => (int)Math.Max(0L, token - (long)Window + 1);
}
