using System.Buffers.Binary;
using Vicuna.Managed.Kernels.Memory;

namespace Vicuna.Managed.Weights.Torch;

/// <summary>The CRC-32 of zip archives (reflected polynomial EDB88320), eight bytes per step.</summary>
internal static class Crc32
{
    private const uint Polynomial = 0xEDB88320;
    private const int ChunkBytes = 16 << 20;
    private const int Lanes = 8;

    // Table[lane * 256 + b]: what byte b contributes when `lane` further bytes follow it in the same step.
    private static readonly uint[] Table = CreateTable();

    /// <summary>The checksum of <paramref name="bytes"/>.</summary>
    public static uint Compute(ReadOnlySpan<byte> bytes) => ~Append(uint.MaxValue, bytes);

    /// <summary>The checksum of a region of any length.</summary>
    /// <exception cref="OperationCanceledException">The token was cancelled; it is looked at every 16 MB.</exception>
    public static uint Compute(ByteRegion region, CancellationToken cancellationToken)
    {
        uint state = uint.MaxValue;
        for (long done = 0; done < region.Length; done += ChunkBytes)
        {
            cancellationToken.ThrowIfCancellationRequested();
            state = Append(state, region.Bytes(done, (int)Math.Min(ChunkBytes, region.Length - done)));
        }

        return ~state;
    }

    private static uint Append(uint state, ReadOnlySpan<byte> bytes)
    {
        ReadOnlySpan<uint> table = Table;
        for (; bytes.Length >= Lanes; bytes = bytes[Lanes..])
        {
            ulong eight = BinaryPrimitives.ReadUInt64LittleEndian(bytes) ^ state;
            state = 0;
            for (int lane = Lanes - 1; lane >= 0; lane--, eight >>= 8)
            {
                state ^= table[(lane << 8) + (byte)eight];
            }
        }

        foreach (byte value in bytes)
        {
            state = (state >> 8) ^ table[(byte)(state ^ value)];
        }

        return state;
    }

    private static uint[] CreateTable()
    {
        uint[] table = new uint[Lanes << 8];
        for (uint value = 0; value < 256; value++)
        {
            uint state = value;
            for (int bit = 0; bit < 8; bit++)
            {
                state = (state >> 1) ^ ((state & 1) * Polynomial);
            }

            table[value] = state;
        }

        for (int i = 256; i < table.Length; i++)
        {
            table[i] = (table[i - 256] >> 8) ^ table[(byte)table[i - 256]];
        }

        return table;
    }
}
