namespace Vicuna.Managed.Kernels.Formats;

/// <summary>The end of <see cref="IBlockUse{TSum}"/>: what is done with one vector of elements.</summary>
/// <typeparam name="TVector">A vector of floats of the tier.</typeparam>
internal interface IBlockSink<TVector>
    where TVector : struct
{
    /// <summary>Takes the next vector of elements.</summary>
    /// <param name="value">The elements.</param>
    /// <param name="operand">Where they go, or their activations.</param>
    /// <param name="at">Offset from <paramref name="operand"/>, in elements.</param>
    /// <param name="sum">The accumulator so far.</param>
    /// <returns>The accumulator.</returns>
    static abstract TVector Take(TVector value, ref float operand, nuint at, TVector sum);
}
