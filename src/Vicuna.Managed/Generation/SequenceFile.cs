using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Vicuna.Managed.Kernels.Ops;
using Vicuna.Managed.Models;

namespace Vicuna.Managed.Generation;

/// <summary>
/// The format of a saved sequence, little-endian: 7 bytes <c>VICSEQ\0</c>, 1 byte version 2, 32 bytes fingerprint of the model, i64 seed, i32 tokens n,
/// i32 cached positions c (0 to n), i32 storage type of keys and values (0 = F32, 1 = F16, 2 = Q8), n times i32 token id, n bytes 1 = generated,
/// the keys and values, 32 bytes SHA-256 of all that. Keys and values: page by page, layer by layer, keys then values, head by head, a run as
/// in <see cref="KvShape"/>, of which the last page holds only the positions below c. Nothing of it is trusted when it is read.
/// </summary>
internal static class SequenceFile
{
    private const int HeaderBytes = 8 + 32 + 8 + 4 + 4 + 4;
    private const byte Version = 2;
    private const string Name = "saved sequence";

    private static ReadOnlySpan<byte> Magic => "VICSEQ\0"u8;

    /// <summary>Writes a sequence.</summary>
    public static void Write(Stream destination, ReadOnlySpan<byte> fingerprint, SavedSequence sequence, KvCache cache)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        byte[] header = new byte[HeaderBytes + (5 * sequence.Tokens.Count)];
        Magic.CopyTo(header);
        header[7] = Version;
        fingerprint.CopyTo(header.AsSpan(8));
        BinaryPrimitives.WriteInt64LittleEndian(header.AsSpan(40), sequence.Seed);
        BinaryPrimitives.WriteInt32LittleEndian(header.AsSpan(48), sequence.Tokens.Count);
        BinaryPrimitives.WriteInt32LittleEndian(header.AsSpan(52), cache.Length);
        BinaryPrimitives.WriteInt32LittleEndian(header.AsSpan(56), (int)cache.Shape.Type);
        for (int i = 0; i < sequence.Tokens.Count; i++)
        {
            BinaryPrimitives.WriteInt32LittleEndian(header.AsSpan(HeaderBytes + (4 * i)), sequence.Tokens[i]);
            header[HeaderBytes + (4 * sequence.Tokens.Count) + i] = sequence.Generated[i] ? (byte)1 : (byte)0;
        }

        Put(header);
        byte[] buffer = new byte[cache.Shape.RunBytes];
        foreach ((KvPage page, long offset, int count) in Runs(cache, cache.Length))
        {
            Span<byte> part = buffer.AsSpan(0, count * cache.Shape.PositionBytes);
            Copy(page.Run(offset, cache.Shape), part, cache.Shape, count, IsKeys(offset, cache.Shape), toRun: false);
            Put(part);
        }

        destination.Write(hash.GetHashAndReset());

        void Put(ReadOnlySpan<byte> bytes)
        {
            hash.AppendData(bytes);
            destination.Write(bytes);
        }
    }

    /// <summary>Reads a sequence; its keys and values go into an empty cache.</summary>
    /// <exception cref="ModelFormatException">The data is damaged, cut short, or of another model.</exception>
    /// <exception cref="ContextLengthExceededException">The cache cannot hold it.</exception>
    public static SavedSequence Read(Stream source, ReadOnlySpan<byte> fingerprint, KvCache cache, int vocabSize) =>
        Read(source, fingerprint, cache, vocabSize, static _ => true);

    /// <summary>Reads a sequence; its keys and values go into an empty cache if there is room for them, else they are read and dropped.</summary>
    /// <param name="source">The bytes.</param>
    /// <param name="fingerprint">The model's, 32 bytes <c>[32]</c>.</param>
    /// <param name="cache">Receives keys and values.</param>
    /// <param name="vocabSize">V, number of token ids.</param>
    /// <param name="hasRoom">Says whether there is room for a number of positions, before any of them is read.</param>
    /// <exception cref="ModelFormatException">The data is damaged, cut short, or of another model.</exception>
    /// <exception cref="ContextLengthExceededException">The cache cannot hold it.</exception>
    public static SavedSequence Read(Stream source, ReadOnlySpan<byte> fingerprint, KvCache cache, int vocabSize, Func<int, bool> hasRoom)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        byte[] header = new byte[HeaderBytes];
        Take(header);
        if (!header.AsSpan(0, 7).SequenceEqual(Magic))
        {
            throw new ModelFormatException(Name, "expected a saved sequence (VICSEQ), found other data", item: null);
        }

        if (header[7] != Version)
        {
            throw new ModelFormatException(Name, $"expected version {Version}, found version {header[7]}: it was saved by another version of this library", item: null);
        }

        if (!header.AsSpan(8, 32).SequenceEqual(fingerprint))
        {
            throw new ModelFormatException(Name, $"expected model {Convert.ToHexString(fingerprint[..8])}, found {Convert.ToHexString(header.AsSpan(8, 8))}: it was saved with another model", item: null);
        }

        long seed = BinaryPrimitives.ReadInt64LittleEndian(header.AsSpan(40));
        int count = BinaryPrimitives.ReadInt32LittleEndian(header.AsSpan(48));
        int cached = BinaryPrimitives.ReadInt32LittleEndian(header.AsSpan(52));
        if (count < 0 || cached < 0 || cached > count)
        {
            throw new ModelFormatException(Name, $"expected 0 to n cached of n tokens, found {cached} of {count}", item: null);
        }

        int type = BinaryPrimitives.ReadInt32LittleEndian(header.AsSpan(56));
        if (type != (int)cache.Shape.Type)
        {
            string stored = type is >= 0 and <= (int)KvType.Q8 ? ((KvType)type).ToString() : $"type {type}";
            throw new ModelFormatException(
                Name, $"expected keys and values as {cache.Shape.Type}, found {stored}: load the model with the same KeyValueType as when it was saved", item: null);
        }

        if (count > cache.Capacity)
        {
            throw new ContextLengthExceededException(count, cache.Capacity);
        }

        byte[] body = new byte[5 * count];
        Take(body);
        int[] tokens = new int[count];
        bool[] generated = new bool[count];
        for (int i = 0; i < count; i++)
        {
            tokens[i] = BinaryPrimitives.ReadInt32LittleEndian(body.AsSpan(4 * i));
            generated[i] = body[(4 * count) + i] == 1;
            if (tokens[i] < 0 || tokens[i] >= vocabSize)
            {
                throw new ModelFormatException(Name, $"expected token ids below {vocabSize}, found {tokens[i]}", item: null);
            }
        }

        byte[] buffer = new byte[cache.Shape.RunBytes];
        if (!hasRoom(cached))
        {
            for (long left = checked(cached * cache.Shape.BytesPerPosition); left > 0; left -= Math.Min(left, buffer.Length))
            {
                Take(buffer.AsSpan(0, (int)Math.Min(left, buffer.Length)));
            }

            cached = 0;
        }

        foreach ((KvPage page, long offset, int positions) in Runs(cache, cached))
        {
            Span<byte> part = buffer.AsSpan(0, positions * cache.Shape.PositionBytes);
            Take(part);
            Copy(page.Run(offset, cache.Shape), part, cache.Shape, positions, IsKeys(offset, cache.Shape), toRun: true);
            if (cache.Shape.Type == KvType.F16 && HoldsNaN(part))
            {
                page.MarkNaN();
            }
        }

        byte[] expected = hash.GetHashAndReset();
        byte[] found = new byte[expected.Length];
        if (source.ReadAtLeast(found, found.Length, throwOnEndOfStream: false) < found.Length || !found.AsSpan().SequenceEqual(expected))
        {
            throw new ModelFormatException(Name, "the checksum does not match: the data is damaged or cut short", item: null);
        }

        cache.Commit(cached);
        return new SavedSequence(seed, tokens, generated);

        void Take(Span<byte> bytes)
        {
            int read = source.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
            if (read < bytes.Length)
            {
                throw new ModelFormatException(Name, $"expected {bytes.Length} more bytes, found {read}", item: null);
            }

            hash.AppendData(bytes);
        }
    }

    // The runs that hold the first positions, adding pages to the cache as they are reached: a claim of many positions in a short file
    // costs one page.
    private static IEnumerable<(KvPage Page, long Offset, int Positions)> Runs(KvCache cache, int positions)
    {
        KvShape shape = cache.Shape;
        for (int start = 0; start < positions; start += KvShape.PagePositions)
        {
            int count = Math.Min(KvShape.PagePositions, positions - start);
            if (cache.Length < start + count)
            {
                cache.Reserve(start + count - cache.Length);
            }

            KvPage page = cache.Pages[start / KvShape.PagePositions];
            for (int run = 0; run < shape.Layers * 2 * shape.KeyValueHeads; run++)
            {
                yield return (page, (long)run * shape.RunBytes, count);
            }
        }
    }

    // The cache never holds an infinity, but a file may: it is as little a number.
    private static bool HoldsNaN(ReadOnlySpan<byte> halves)
    {
        foreach (Half half in MemoryMarshal.Cast<byte, Half>(halves))
        {
            if (!Half.IsFinite(half))
            {
                return true;
            }
        }

        return false;
    }

    private static bool IsKeys(long offset, KvShape shape) => offset / shape.RunBytes / shape.KeyValueHeads % 2 == 0;

    // Between a run of a page and a run of a file, which has no more positions than are used.
    private static void Copy(Span<byte> run, Span<byte> part, KvShape shape, int positions, bool keys, bool toRun)
    {
        int runAt = 0;
        int partAt = 0;
        Move(KvShape.PagePositions * shape.ScaleBytes, positions * shape.ScaleBytes, run, part);
        int rows = keys ? shape.HeadDim : 1;
        int width = keys ? shape.ElementBytes : shape.ElementBytes * shape.HeadDim;
        for (int row = 0; row < rows; row++)
        {
            Move(KvShape.PagePositions * width, positions * width, run, part);
        }

        void Move(int runBytes, int bytes, Span<byte> run, Span<byte> part)
        {
            Span<byte> inRun = run.Slice(runAt, bytes);
            Span<byte> inPart = part.Slice(partAt, bytes);
            (toRun ? inPart : inRun).CopyTo(toRun ? inRun : inPart);
            runAt += runBytes;
            partAt += bytes;
        }
    }
}
