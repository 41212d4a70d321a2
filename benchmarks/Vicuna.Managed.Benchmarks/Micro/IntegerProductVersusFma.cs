using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using BenchmarkDotNet.Attributes;
using Vicuna.Managed.Kernels.Formats;
using Vicuna.Managed.Kernels.Isa;

namespace Vicuna.Managed.Benchmarks.Micro;

/// <summary>
/// What bounds quantized prompts: a 16-bit multiply-add and the addition of its result (32 products), against an f32 multiply-add (16). Twelve
/// independent accumulators in registers, weights from the first-level cache, one thread.
/// </summary>
/// <remarks>
/// Verdict (AMD EPYC, Zen 4): a multiplication and an addition, 512 bits wide, take 1.35 to 1.40 of an f32 multiply-add's time, whatever the tile
/// (2 x 3 to 4 x 3, loads or broadcasts; the disassembly has nothing but these instructions); the multiplication alone takes 1.0. Additions may
/// go to all four vector pipes and are sent to the two that multiply as well. So eight-bit weights reach at most 2 / 1.37 = 1.46 of the f32 peak
/// before their scales are applied, and four-bit weights, whose groups cost 8 such pairs and 5 more instructions, 2.3. 256-bit instructions were
/// 8 % better alone and worse in the whole kernel, which then has twice as many broadcasts. A dot product that adds by itself (VNNI) would double
/// both; .NET 10 has it for 256 bits only (AvxVnni), which this processor lacks.
/// </remarks>
public class IntegerProductVersusFma
{
    private const int Steps = 4096;

    private readonly float[] _values = new float[1024];

    [GlobalSetup]
    public static void Setup() => IsaTiers.Require(IsaTier.Avx512);

    [Benchmark(Baseline = true)]
    public float FusedMultiplyAdd()
    {
        ref float source = ref MemoryMarshal.GetArrayDataReference(_values);
        Vector512<float> a0 = Vector512<float>.Zero, a1 = a0, a2 = a0, a3 = a0, a4 = a0, a5 = a0, b0 = a0, b1 = a0, b2 = a0, b3 = a0, b4 = a0, b5 = a0;
        Vector512<float> x0 = Lanes.Load512(ref source), x1 = Lanes.Load512(ref source, 16), x2 = Lanes.Load512(ref source, 32);
        Vector512<float> x3 = Lanes.Load512(ref source, 48), x4 = Lanes.Load512(ref source, 64), x5 = Lanes.Load512(ref source, 80);
        for (int i = 0; i < Steps; i++)
        {
            nuint at = (nuint)(i % 16) * 32;
            Vector512<float> v = Lanes.Load512(ref source, at), w = Lanes.Load512(ref source, at + 16);
            a0 = Vector512.FusedMultiplyAdd(v, x0, a0);
            b0 = Vector512.FusedMultiplyAdd(w, x0, b0);
            a1 = Vector512.FusedMultiplyAdd(v, x1, a1);
            b1 = Vector512.FusedMultiplyAdd(w, x1, b1);
            a2 = Vector512.FusedMultiplyAdd(v, x2, a2);
            b2 = Vector512.FusedMultiplyAdd(w, x2, b2);
            a3 = Vector512.FusedMultiplyAdd(v, x3, a3);
            b3 = Vector512.FusedMultiplyAdd(w, x3, b3);
            a4 = Vector512.FusedMultiplyAdd(v, x4, a4);
            b4 = Vector512.FusedMultiplyAdd(w, x4, b4);
            a5 = Vector512.FusedMultiplyAdd(v, x5, a5);
            b5 = Vector512.FusedMultiplyAdd(w, x5, b5);
        }

        return Lanes.Sum(a0 + a1 + a2 + a3 + a4 + a5 + b0 + b1 + b2 + b3 + b4 + b5);
    }

    [Benchmark]
    public float MultiplyPairsAndAdd()
    {
        ref float source = ref MemoryMarshal.GetArrayDataReference(_values);
        Vector512<int> a0 = Vector512<int>.Zero, a1 = a0, a2 = a0, a3 = a0, a4 = a0, a5 = a0, b0 = a0, b1 = a0, b2 = a0, b3 = a0, b4 = a0, b5 = a0;
        Vector512<short> x0 = Lanes.Load512(ref source).AsInt16(), x1 = Lanes.Load512(ref source, 16).AsInt16(), x2 = Lanes.Load512(ref source, 32).AsInt16();
        Vector512<short> x3 = Lanes.Load512(ref source, 48).AsInt16(), x4 = Lanes.Load512(ref source, 64).AsInt16(), x5 = Lanes.Load512(ref source, 80).AsInt16();
        for (int i = 0; i < Steps; i++)
        {
            nuint at = (nuint)(i % 16) * 32;
            Vector512<short> v = Lanes.Load512(ref source, at).AsInt16(), w = Lanes.Load512(ref source, at + 16).AsInt16();
            a0 += Avx512BW.MultiplyAddAdjacent(v, x0);
            b0 += Avx512BW.MultiplyAddAdjacent(w, x0);
            a1 += Avx512BW.MultiplyAddAdjacent(v, x1);
            b1 += Avx512BW.MultiplyAddAdjacent(w, x1);
            a2 += Avx512BW.MultiplyAddAdjacent(v, x2);
            b2 += Avx512BW.MultiplyAddAdjacent(w, x2);
            a3 += Avx512BW.MultiplyAddAdjacent(v, x3);
            b3 += Avx512BW.MultiplyAddAdjacent(w, x3);
            a4 += Avx512BW.MultiplyAddAdjacent(v, x4);
            b4 += Avx512BW.MultiplyAddAdjacent(w, x4);
            a5 += Avx512BW.MultiplyAddAdjacent(v, x5);
            b5 += Avx512BW.MultiplyAddAdjacent(w, x5);
        }

        return Vector512.Sum(a0 + a1 + a2 + a3 + a4 + a5 + b0 + b1 + b2 + b3 + b4 + b5);
    }
}
