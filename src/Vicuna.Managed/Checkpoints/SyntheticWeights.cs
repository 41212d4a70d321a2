using System.Buffers.Binary;
using System.Text;
using Vicuna.Managed.Sampling;
using Vicuna.Managed.Weights;

namespace Vicuna.Managed.Checkpoints;

/// <summary>
/// Random F16 weights of one tensor: normal with mean 0 and deviation 0.02 (what Llama's are initialized with, <c>initializer_range</c>), gains
/// of normalizations 1, so that activations keep their size through any number of blocks. A weight is a function of the seed, the tensor's
/// name and the weight's index alone: shards, chunks and threads do not change it.
/// </summary>
internal sealed class SyntheticWeights
{
    /// <summary>Weights that one random number makes: parts of a tensor that are filled on their own begin at multiples of it.</summary>
    public const int WeightsPerDraw = 4;

    private const double Deviation = 0.02;
    private const int TableSide = 256;

    // Samples by their 16 random bits. Box and Muller (1958) turn two uniform numbers into a normal one; here the two run over a grid.
    private static readonly ushort[] Samples = MakeSamples();
    private static readonly ushort One = BitConverter.HalfToUInt16Bits((Half)1f);

    private readonly ulong _key;
    private readonly bool _isGain;

    /// <summary>The weights of <paramref name="tensor"/>.</summary>
    public SyntheticWeights(TensorInfo tensor, long seed)
    {
        _isGain = tensor.Shape.Length == 1 && tensor.Name.EndsWith("norm.weight", StringComparison.Ordinal);
        _key = CounterRandom.Mix(unchecked((ulong)seed));
        foreach (byte value in Encoding.UTF8.GetBytes(tensor.Name))
        {
            _key = CounterRandom.Mix(_key ^ value);
        }
    }

    /// <summary>Makes a part of the tensor.</summary>
    /// <param name="first">Index of the part's first weight, a multiple of <see cref="WeightsPerDraw"/>.</param>
    /// <param name="destination">F16, little-endian.</param>
    public void Fill(long first, Span<byte> destination)
    {
        if (_isGain)
        {
            for (int i = 0; i < destination.Length; i += sizeof(ushort))
            {
                BinaryPrimitives.WriteUInt16LittleEndian(destination[i..], One);
            }

            return;
        }

        ReadOnlySpan<ushort> samples = Samples;
        ulong counter = unchecked((ulong)(first / WeightsPerDraw));
        int at = 0;
        for (; at + sizeof(ulong) <= destination.Length; at += sizeof(ulong))
        {
            BinaryPrimitives.WriteUInt64LittleEndian(destination.Slice(at, sizeof(ulong)), Draw(samples, counter++));
        }

        if (at < destination.Length)
        {
            Span<byte> last = stackalloc byte[sizeof(ulong)];
            BinaryPrimitives.WriteUInt64LittleEndian(last, Draw(samples, counter));
            last[..(destination.Length - at)].CopyTo(destination[at..]);
        }
    }

    // Four weights, side by side.
    private ulong Draw(ReadOnlySpan<ushort> samples, ulong counter)
    {
        // Numbers in a row would be the finalizer's weak spot: the odd constant (of the golden ratio) keeps them apart.
        ulong bits = CounterRandom.Mix(unchecked(_key + (counter * 0x9E3779B97F4A7C15)));
        return samples[(ushort)bits]
            | ((ulong)samples[(ushort)(bits >> 16)] << 16)
            | ((ulong)samples[(ushort)(bits >> 32)] << 32)
            | ((ulong)samples[(ushort)(bits >> 48)] << 48);
    }

    private static ushort[] MakeSamples()
    {
        ushort[] samples = new ushort[TableSide * TableSide];
        for (int i = 0; i < samples.Length; i++)
        {
            double radius = Math.Sqrt(-2 * Math.Log(((i / TableSide) + 0.5) / TableSide));
            double angle = Math.Tau * ((i % TableSide) + 0.5) / TableSide;
            samples[i] = BitConverter.HalfToUInt16Bits((Half)(Deviation * radius * Math.Cos(angle)));
        }

        return samples;
    }
}
