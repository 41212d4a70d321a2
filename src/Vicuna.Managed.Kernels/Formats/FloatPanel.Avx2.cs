using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Vicuna.Managed.Kernels.Formats;

/// <summary>
/// The tile in 256-bit vectors: 4 rows of W and 2 of the 6 tokens at a time, 8 accumulators with 4 vectors of W and 1 of X: 13 of the 16 registers.
/// </summary>
internal static partial class FloatPanel
{
    // steps · 4 vectors of W, steps · 6 vectors of X and 24 vectors of state exist: Multiply lays them out so.
    private static void Tile256(ref float w, ref float x, ref float state, int steps, bool first)
    {
        for (nuint token = 0; token < TokenTile; token += 2)
        {
            Tokens2(ref w, ref Unsafe.Add(ref x, token * 8), ref Unsafe.Add(ref state, token * 32), steps, first);
        }
    }

    private static void Tokens2(ref float w, ref float x, ref float state, int steps, bool first)
    {
        Vector256<float> s00 = Vector256<float>.Zero, s01 = Vector256<float>.Zero, s02 = Vector256<float>.Zero, s03 = Vector256<float>.Zero;
        Vector256<float> s10 = Vector256<float>.Zero, s11 = Vector256<float>.Zero, s12 = Vector256<float>.Zero, s13 = Vector256<float>.Zero;
        if (!first)
        {
            s00 = Lanes.Load256(ref state);
            s01 = Lanes.Load256(ref state, 8);
            s02 = Lanes.Load256(ref state, 16);
            s03 = Lanes.Load256(ref state, 24);
            s10 = Lanes.Load256(ref state, 32);
            s11 = Lanes.Load256(ref state, 40);
            s12 = Lanes.Load256(ref state, 48);
            s13 = Lanes.Load256(ref state, 56);
        }

        for (int i = 0; i < steps; i++)
        {
            Vector256<float> w0 = Lanes.Load256(ref w);
            Vector256<float> w1 = Lanes.Load256(ref w, 8);
            Vector256<float> w2 = Lanes.Load256(ref w, 16);
            Vector256<float> w3 = Lanes.Load256(ref w, 24);
            Vector256<float> b = Lanes.Load256(ref x);
            s00 = Vector256.FusedMultiplyAdd(w0, b, s00);
            s01 = Vector256.FusedMultiplyAdd(w1, b, s01);
            s02 = Vector256.FusedMultiplyAdd(w2, b, s02);
            s03 = Vector256.FusedMultiplyAdd(w3, b, s03);
            b = Lanes.Load256(ref x, 8);
            s10 = Vector256.FusedMultiplyAdd(w0, b, s10);
            s11 = Vector256.FusedMultiplyAdd(w1, b, s11);
            s12 = Vector256.FusedMultiplyAdd(w2, b, s12);
            s13 = Vector256.FusedMultiplyAdd(w3, b, s13);
            w = ref Unsafe.Add(ref w, 32);
            x = ref Unsafe.Add(ref x, 48);
        }

        Lanes.Store(s00, ref state);
        Lanes.Store(s01, ref state, 8);
        Lanes.Store(s02, ref state, 16);
        Lanes.Store(s03, ref state, 24);
        Lanes.Store(s10, ref state, 32);
        Lanes.Store(s11, ref state, 40);
        Lanes.Store(s12, ref state, 48);
        Lanes.Store(s13, ref state, 56);
    }
}
