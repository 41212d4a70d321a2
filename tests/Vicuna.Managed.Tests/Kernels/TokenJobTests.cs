using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Kernels.Ops;
using Vicuna.Managed.Kernels.Threading;

namespace Vicuna.Managed.Tests.Kernels;

/// <summary>Operations over tokens on many threads give the bits of the same operations on one.</summary>
public sealed class TokenJobTests
{
    public static TheoryData<string> Tiers() => [.. KernelCases.Tiers];

    [Theory]
    [MemberData(nameof(Tiers))]
    public void EveryOperation_AnyThreadCount_GivesTheBitsOfOneCall(string tierName)
    {
        const int width = 3001;
        Operations operations = Operations.For(KernelCases.Tier(tierName));
        float[] gain = Floats.Random(width, 1, 3);
        TokenJob job = new();
        foreach (int tokens in new[] { 1, 2, 7, 100 })
        {
            int count = tokens * width;
            float[] x = Floats.Random(count, 2, 1);
            float[] y = Floats.Random(count, 2, 2);
            using AlignedBuffer a = AlignedBuffer.AllocateFloats(count);
            using AlignedBuffer b = AlignedBuffer.AllocateFloats(count);
            using AlignedBuffer c = AlignedBuffer.AllocateFloats(count);
            foreach (int threads in new[] { 1, 2, 3, 16 })
            {
                using WorkerPool pool = new(threads, 0);
                void Check(float[] expected, AlignedBuffer found, Action run, string what)
                {
                    x.CopyTo(a.Floats(0, count));
                    y.CopyTo(b.Floats(0, count));
                    run();
                    KernelCases.AssertSameBits(expected, found.Floats(0, count), $"{what}, {tokens} tokens, {threads} threads");
                }

                float[] sum = [.. x];
                operations.Add(sum, y);
                float[] normed = new float[count];
                operations.RmsNorm(x, gain, 1e-5f, normed);
                float[] normedSum = new float[count];
                operations.RmsNorm(sum, gain, 1e-5f, normedSum);
                float[] gated = [.. x];
                operations.SwiGlu(gated, y);
                float[] biased = [.. x];
                operations.AddBias(biased, gain);
                Check(normed, c, () => job.RmsNorm(operations, pool, a, gain, 1e-5f, c, tokens), "normalize");
                Check(normedSum, c, () => job.AddThenRmsNorm(operations, pool, a, b, gain, 1e-5f, c, tokens), "add and normalize");
                Check(sum, a, () => job.AddThenRmsNorm(operations, pool, a, b, gain, 1e-5f, c, tokens), "add before normalizing");
                Check(sum, a, () => job.Add(operations, pool, a, b, width, tokens), "add");
                Check(gated, a, () => job.SwiGlu(operations, pool, a, b, width, tokens), "gate");
                Check(biased, a, () => job.AddBias(operations, pool, a, gain, tokens), "bias");
            }
        }
    }
}
