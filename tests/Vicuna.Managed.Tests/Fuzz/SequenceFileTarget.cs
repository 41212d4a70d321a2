using System.Buffers.Binary;
using System.Security.Cryptography;
using Vicuna.Managed.Generation;
using Vicuna.Managed.Kernels.Ops;
using Vicuna.Managed.Models;

namespace Vicuna.Managed.Tests.Fuzz;

/// <summary>Restores a saved sequence; every input also with its checksum put right, which would refuse nearly all mutations otherwise.</summary>
internal static class SequenceFileTarget
{
    private const int VocabSize = 512;
    private const int Capacity = 256;
    private const int ChecksumBytes = 32;

    private static readonly KvShape Shape = new(2, 2, 4, KvType.Q8);
    private static readonly byte[] Fingerprint = [.. Enumerable.Range(1, 32).Select(value => (byte)value)];

    public static string Name => "sequence-file";

    public static IReadOnlyList<byte[]> Seeds()
    {
        byte[] tooLong = Saved(tokens: 4, cached: 0);
        BinaryPrimitives.WriteInt32LittleEndian(tooLong.AsSpan(48), Capacity + 1);
        byte[] otherModel = Saved(tokens: 4, cached: 0);
        otherModel[8]++;
        byte[] otherVersion = Saved(tokens: 4, cached: 0);
        otherVersion[7]--;
        byte[] otherType = Saved(tokens: 4, cached: 0);
        otherType[56]--;
        return [Saved(tokens: 0, cached: 0), Saved(tokens: 5, cached: 0), Saved(tokens: 9, cached: 8), Saved(tokens: 20, cached: 20), tooLong, otherModel, otherVersion, otherType, []];
    }

    public static void Run(byte[] input)
    {
        Restore(input);
        if (input.Length >= ChecksumBytes)
        {
            SHA256.HashData(input.AsSpan(0, input.Length - ChecksumBytes), input.AsSpan(input.Length - ChecksumBytes));
            Restore(input);
        }
    }

    private static void Restore(byte[] input)
    {
        using KvCache cache = new(Shape, Capacity);
        try
        {
            SavedSequence sequence = SequenceFile.Read(new MemoryStream(input), Fingerprint, cache, VocabSize);
            Assert.Equal(sequence.Tokens.Count, sequence.Generated.Count);
            Assert.InRange(cache.Length, 0, sequence.Tokens.Count);
            Assert.All(sequence.Tokens, token => Assert.InRange(token, 0, VocabSize - 1));
        }
        catch (Exception e) when (e is ModelFormatException or ContextLengthExceededException)
        {
            Assert.Equal(0, cache.Length);
        }
    }

    private static byte[] Saved(int tokens, int cached)
    {
        using KvCache cache = new(Shape, Capacity);
        cache.Reserve(cached);
        cache.Commit(cached);
        using MemoryStream stream = new();
        SavedSequence sequence = new(7, [.. Enumerable.Range(0, tokens)], [.. Enumerable.Range(0, tokens).Select(token => token % 2 == 0)]);
        SequenceFile.Write(stream, Fingerprint, sequence, cache);
        return stream.ToArray();
    }
}
