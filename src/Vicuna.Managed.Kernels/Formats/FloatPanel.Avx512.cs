using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Vicuna.Managed.Kernels.Memory;

namespace Vicuna.Managed.Kernels.Formats;

/// <summary>
/// The tile in 512-bit vectors: 4 rows of W, 6 tokens, 24 accumulators with 4 vectors of W and 1 of X: 29 of the 32 registers. 24 fused products
/// take 10 loads, so the loads never limit it. Every sum is stored before anything is called, or the JIT would keep the accumulators on the stack.
/// </summary>
internal static partial class FloatPanel
{
    // steps · 4 vectors of W, steps · 6 vectors of X and 24 vectors of state exist: Multiply lays them out so.
    // Of what comes next, two lines a step are fetched ahead: three tiles of rows fetch a whole tile of tokens.
    private static void Tile512(ref float w, ref float x, ref float state, int steps, bool first, ref float next)
    {
        Vector512<float> s00 = Vector512<float>.Zero, s01 = Vector512<float>.Zero, s02 = Vector512<float>.Zero, s03 = Vector512<float>.Zero;
        Vector512<float> s10 = Vector512<float>.Zero, s11 = Vector512<float>.Zero, s12 = Vector512<float>.Zero, s13 = Vector512<float>.Zero;
        Vector512<float> s20 = Vector512<float>.Zero, s21 = Vector512<float>.Zero, s22 = Vector512<float>.Zero, s23 = Vector512<float>.Zero;
        Vector512<float> s30 = Vector512<float>.Zero, s31 = Vector512<float>.Zero, s32 = Vector512<float>.Zero, s33 = Vector512<float>.Zero;
        Vector512<float> s40 = Vector512<float>.Zero, s41 = Vector512<float>.Zero, s42 = Vector512<float>.Zero, s43 = Vector512<float>.Zero;
        Vector512<float> s50 = Vector512<float>.Zero, s51 = Vector512<float>.Zero, s52 = Vector512<float>.Zero, s53 = Vector512<float>.Zero;
        if (!first)
        {
            s00 = Lanes.Load512(ref state);
            s01 = Lanes.Load512(ref state, 16);
            s02 = Lanes.Load512(ref state, 32);
            s03 = Lanes.Load512(ref state, 48);
            s10 = Lanes.Load512(ref state, 64);
            s11 = Lanes.Load512(ref state, 80);
            s12 = Lanes.Load512(ref state, 96);
            s13 = Lanes.Load512(ref state, 112);
            s20 = Lanes.Load512(ref state, 128);
            s21 = Lanes.Load512(ref state, 144);
            s22 = Lanes.Load512(ref state, 160);
            s23 = Lanes.Load512(ref state, 176);
            s30 = Lanes.Load512(ref state, 192);
            s31 = Lanes.Load512(ref state, 208);
            s32 = Lanes.Load512(ref state, 224);
            s33 = Lanes.Load512(ref state, 240);
            s40 = Lanes.Load512(ref state, 256);
            s41 = Lanes.Load512(ref state, 272);
            s42 = Lanes.Load512(ref state, 288);
            s43 = Lanes.Load512(ref state, 304);
            s50 = Lanes.Load512(ref state, 320);
            s51 = Lanes.Load512(ref state, 336);
            s52 = Lanes.Load512(ref state, 352);
            s53 = Lanes.Load512(ref state, 368);
        }

        for (int i = 0; i < steps; i++)
        {
            ProcessorHints.Prefetch(ref next);
            ProcessorHints.Prefetch(ref Unsafe.Add(ref next, 16));
            Vector512<float> w0 = Lanes.Load512(ref w);
            Vector512<float> w1 = Lanes.Load512(ref w, 16);
            Vector512<float> w2 = Lanes.Load512(ref w, 32);
            Vector512<float> w3 = Lanes.Load512(ref w, 48);
            Vector512<float> b = Lanes.Load512(ref x);
            s00 = Vector512.FusedMultiplyAdd(w0, b, s00);
            s01 = Vector512.FusedMultiplyAdd(w1, b, s01);
            s02 = Vector512.FusedMultiplyAdd(w2, b, s02);
            s03 = Vector512.FusedMultiplyAdd(w3, b, s03);
            b = Lanes.Load512(ref x, 16);
            s10 = Vector512.FusedMultiplyAdd(w0, b, s10);
            s11 = Vector512.FusedMultiplyAdd(w1, b, s11);
            s12 = Vector512.FusedMultiplyAdd(w2, b, s12);
            s13 = Vector512.FusedMultiplyAdd(w3, b, s13);
            b = Lanes.Load512(ref x, 32);
            s20 = Vector512.FusedMultiplyAdd(w0, b, s20);
            s21 = Vector512.FusedMultiplyAdd(w1, b, s21);
            s22 = Vector512.FusedMultiplyAdd(w2, b, s22);
            s23 = Vector512.FusedMultiplyAdd(w3, b, s23);
            b = Lanes.Load512(ref x, 48);
            s30 = Vector512.FusedMultiplyAdd(w0, b, s30);
            s31 = Vector512.FusedMultiplyAdd(w1, b, s31);
            s32 = Vector512.FusedMultiplyAdd(w2, b, s32);
            s33 = Vector512.FusedMultiplyAdd(w3, b, s33);
            b = Lanes.Load512(ref x, 64);
            s40 = Vector512.FusedMultiplyAdd(w0, b, s40);
            s41 = Vector512.FusedMultiplyAdd(w1, b, s41);
            s42 = Vector512.FusedMultiplyAdd(w2, b, s42);
            s43 = Vector512.FusedMultiplyAdd(w3, b, s43);
            b = Lanes.Load512(ref x, 80);
            s50 = Vector512.FusedMultiplyAdd(w0, b, s50);
            s51 = Vector512.FusedMultiplyAdd(w1, b, s51);
            s52 = Vector512.FusedMultiplyAdd(w2, b, s52);
            s53 = Vector512.FusedMultiplyAdd(w3, b, s53);
            w = ref Unsafe.Add(ref w, 64);
            x = ref Unsafe.Add(ref x, 96);
            next = ref Unsafe.Add(ref next, 32);
        }

        Lanes.Store(s00, ref state);
        Lanes.Store(s01, ref state, 16);
        Lanes.Store(s02, ref state, 32);
        Lanes.Store(s03, ref state, 48);
        Lanes.Store(s10, ref state, 64);
        Lanes.Store(s11, ref state, 80);
        Lanes.Store(s12, ref state, 96);
        Lanes.Store(s13, ref state, 112);
        Lanes.Store(s20, ref state, 128);
        Lanes.Store(s21, ref state, 144);
        Lanes.Store(s22, ref state, 160);
        Lanes.Store(s23, ref state, 176);
        Lanes.Store(s30, ref state, 192);
        Lanes.Store(s31, ref state, 208);
        Lanes.Store(s32, ref state, 224);
        Lanes.Store(s33, ref state, 240);
        Lanes.Store(s40, ref state, 256);
        Lanes.Store(s41, ref state, 272);
        Lanes.Store(s42, ref state, 288);
        Lanes.Store(s43, ref state, 304);
        Lanes.Store(s50, ref state, 320);
        Lanes.Store(s51, ref state, 336);
        Lanes.Store(s52, ref state, 352);
        Lanes.Store(s53, ref state, 368);
    }
}
