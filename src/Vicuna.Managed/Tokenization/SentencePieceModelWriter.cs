using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace Vicuna.Managed.Tokenization;

/// <summary>
/// Writes a vocabulary as a <c>tokenizer.model</c> of SentencePiece's BPE kind: the protobuf <c>ModelProto</c>, field numbers from
/// google/sentencepiece, <c>src/sentencepiece_model.proto</c>. What <see cref="SentencePieceReader"/> makes of it is the model that went in.
/// </summary>
internal static class SentencePieceModelWriter
{
    private const int BytePairEncoding = 2;

    // Protobuf's wire types.
    private const int Varint = 0;
    private const int LengthDelimited = 2;
    private const int Fixed32 = 5;

    /// <summary>Writes a model.</summary>
    /// <returns>The file's bytes.</returns>
    public static byte[] Write(SentencePieceModel model)
    {
        ArrayBufferWriter<byte> file = new();
        ArrayBufferWriter<byte> message = new();
        for (int id = 0; id < model.Count; id++)
        {
            message.ResetWrittenCount();
            Bytes(message, 1, Encoding.UTF8.GetBytes(model.Pieces[id]));
            Float(message, 2, model.Scores[id]);
            Number(message, 3, (int)model.Types[id]);
            Bytes(file, 1, message.WrittenSpan);
        }

        message.ResetWrittenCount();
        SentencePieceOptions options = model.Options;
        Number(message, 3, BytePairEncoding);
        Number(message, 4, model.Count);
        Number(message, 35, options.ByteFallback ? 1 : 0);
        Number(message, 40, options.UnknownId);
        Number(message, 41, options.BosId);
        Number(message, 42, options.EosId);
        Number(message, 43, options.PadId);
        Bytes(message, 44, Encoding.UTF8.GetBytes(options.UnknownSurface));
        Bytes(file, 2, message.WrittenSpan);

        message.ResetWrittenCount();
        Bytes(message, 1, "identity"u8);
        Number(message, 3, options.AddDummyPrefix ? 1 : 0);
        Number(message, 4, options.RemoveExtraWhitespaces ? 1 : 0);
        Number(message, 5, options.EscapeWhitespaces ? 1 : 0);
        Bytes(file, 3, message.WrittenSpan);
        return file.WrittenSpan.ToArray();
    }

    private static void Bytes(ArrayBufferWriter<byte> to, int field, ReadOnlySpan<byte> value)
    {
        Unsigned(to, (uint)((field << 3) | LengthDelimited));
        Unsigned(to, (uint)value.Length);
        to.Write(value);
    }

    private static void Float(ArrayBufferWriter<byte> to, int field, float value)
    {
        Unsigned(to, (uint)((field << 3) | Fixed32));
        BinaryPrimitives.WriteSingleLittleEndian(to.GetSpan(sizeof(float)), value);
        to.Advance(sizeof(float));
    }

    // A negative int32 takes ten bytes: protobuf extends its sign to 64 bits.
    private static void Number(ArrayBufferWriter<byte> to, int field, int value)
    {
        Unsigned(to, (uint)((field << 3) | Varint));
        Unsigned(to, unchecked((ulong)value));
    }

    private static void Unsigned(ArrayBufferWriter<byte> to, ulong value)
    {
        Span<byte> span = to.GetSpan(10);
        int length = 0;
        for (; value >= 0x80; value >>= 7)
        {
            span[length++] = (byte)(value | 0x80);
        }

        span[length++] = (byte)value;
        to.Advance(length);
    }
}
