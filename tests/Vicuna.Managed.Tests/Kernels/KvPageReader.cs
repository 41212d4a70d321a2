using System.Runtime.InteropServices;
using Vicuna.Managed.Kernels.Ops;

namespace Vicuna.Managed.Tests.Kernels;

/// <summary>Reads keys and values by the layout's definition, one element at a time.</summary>
internal static class KvPageReader
{
    public static float[] Read(KvType type, ReadOnlySpan<byte> run, int headDim, int slot, bool transposed)
    {
        const int positions = KvShape.PagePositions;
        float[] row = new float[headDim];
        int scales = type == KvType.Q8 ? positions * sizeof(float) : 0;
        for (int i = 0; i < headDim; i++)
        {
            int at = transposed ? (i * positions) + slot : (slot * headDim) + i;
            row[i] = type switch
            {
                KvType.F32 => MemoryMarshal.Cast<byte, float>(run)[at],
                KvType.F16 => (float)MemoryMarshal.Cast<byte, Half>(run)[at],
                _ => (sbyte)run[scales + at] * MemoryMarshal.Cast<byte, float>(run)[slot],
            };
        }

        return row;
    }
}
