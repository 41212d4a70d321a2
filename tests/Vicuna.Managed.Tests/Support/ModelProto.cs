using System.Buffers.Binary;
using System.Text;

namespace Vicuna.Managed.Tests.Support;

/// <summary>Writes SentencePiece models byte by byte, right or wrong in any way that a test needs. Begins as a small valid one.</summary>
internal sealed class ModelProto
{
    public const int Normal = 1;
    public const int Unknown = 2;
    public const int Control = 3;
    public const int UserDefined = 4;
    public const int Unused = 5;
    public const int Byte = 6;

    /// <summary>Piece, score and type, written as messages in this order.</summary>
    public List<(byte[] Piece, float Score, int Type)> Pieces { get; } = [];

    public List<byte> Trainer { get; } = [];

    public List<byte> Normalizer { get; } = [];

    /// <summary>Bytes after everything else.</summary>
    public List<byte> Tail { get; } = [];

    /// <summary>unk, BOS, EOS, the byte pieces if asked for, and Llama's way with spaces; no text pieces yet.</summary>
    public static ModelProto Start(bool byteFallback = true)
    {
        ModelProto model = new();
        model.Add("<unk>", 0, Unknown).Add("<s>", 0, Control).Add("</s>", 0, Control);
        if (byteFallback)
        {
            for (int i = 0; i < 256; i++)
            {
                model.Add($"<0x{i:X2}>", 0, Byte);
            }
        }

        model.Trainer.AddRange(Varint(3, 2));
        model.Trainer.AddRange(Varint(35, byteFallback ? 1 : 0));
        model.Normalizer.AddRange([.. Bytes(1, "identity"u8), .. Varint(3, 1), .. Varint(4, 0)]);
        return model;
    }

    public static byte[] Varint(int field, long value) => [.. Raw((ulong)field << 3), .. Raw((ulong)value)];

    public static byte[] Bytes(int field, ReadOnlySpan<byte> bytes) => [.. Raw(((ulong)field << 3) | 2), .. Raw((ulong)bytes.Length), .. bytes];

    public static byte[] Float(int field, float value)
    {
        byte[] bits = new byte[4];
        BinaryPrimitives.WriteSingleLittleEndian(bits, value);
        return [.. Raw(((ulong)field << 3) | 5), .. bits];
    }

    public static byte[] Raw(ulong value)
    {
        List<byte> bytes = [];
        for (; value > 0x7f; value >>= 7)
        {
            bytes.Add((byte)(value | 0x80));
        }

        return [.. bytes, (byte)value];
    }

    public ModelProto Add(string piece, float score = 0, int type = Normal)
    {
        Pieces.Add((Encoding.UTF8.GetBytes(piece), score, type));
        return this;
    }

    /// <summary>Adds text pieces; the first has the best score.</summary>
    public ModelProto AddRanked(params string[] pieces)
    {
        foreach (string piece in pieces)
        {
            Add(piece, -Pieces.Count);
        }

        return this;
    }

    public ModelProto Set(int index, string piece, float score, int type)
    {
        Pieces[index] = (Encoding.UTF8.GetBytes(piece), score, type);
        return this;
    }

    public ModelProto With(Action<ModelProto> change)
    {
        change(this);
        return this;
    }

    public byte[] ToBytes()
    {
        List<byte> bytes = [];
        foreach ((byte[] piece, float score, int type) in Pieces)
        {
            bytes.AddRange(Bytes(1, [.. Bytes(1, piece), .. Float(2, score), .. Varint(3, type)]));
        }

        bytes.AddRange(Bytes(2, [.. Trainer]));
        bytes.AddRange(Bytes(3, [.. Normalizer]));
        bytes.AddRange(Tail);
        return [.. bytes];
    }
}
