using System.Text;
using System.Text.Unicode;

namespace Vicuna.Managed.Tokenization;

/// <summary>
/// Reads the protobuf <c>ModelProto</c> of a <c>tokenizer.model</c>; field numbers and defaults are from google/sentencepiece,
/// <c>src/sentencepiece_model.proto</c>. What the pieces say is checked by <see cref="SentencePieceModel.Create"/>.
/// </summary>
internal static class SentencePieceReader
{
    private const int Unigram = 1;
    private const int BytePairEncoding = 2;

    /// <summary>Reads the model in <paramref name="bytes"/>.</summary>
    /// <exception cref="ModelFormatException">The bytes are damaged, or of a kind that is not supported.</exception>
    public static SentencePieceModel Read(ReadOnlySpan<byte> bytes, string fileName)
    {
        if (bytes.Length > SentencePieceModel.MaxFileBytes)
        {
            throw new ModelFormatException(fileName, $"expected at most {SentencePieceModel.MaxFileBytes} bytes, found {bytes.Length}", null);
        }

        if (bytes.StartsWith("version https://git-lfs"u8))
        {
            throw new ModelFormatException(fileName, "expected a SentencePiece model, found a Git LFS pointer: the file itself was not downloaded", null);
        }

        List<string> pieces = [];
        List<float> scores = [];
        List<int> types = [];
        int modelType = Unigram;
        SentencePieceOptions options = new();
        ProtobufReader reader = new(bytes, fileName, "model");
        while (reader.NextField())
        {
            switch (reader.Field)
            {
                case 1:
                    if (pieces.Count == SentencePieceModel.MaxPieces)
                    {
                        throw new ModelFormatException(fileName, $"expected at most {SentencePieceModel.MaxPieces} pieces, found more", "pieces");
                    }

                    ReadPiece(Nested(ref reader, fileName, "pieces"), fileName, pieces, scores, types);
                    break;
                case 2:
                    options = ReadTrainer(Nested(ref reader, fileName, "trainer_spec"), fileName, options, ref modelType);
                    break;
                case 3:
                    options = ReadNormalizer(Nested(ref reader, fileName, "normalizer_spec"), fileName, options);
                    break;
                case 5:
                    ReadNormalizer(Nested(ref reader, fileName, "denormalizer_spec"), fileName, options);
                    break;
                default:
                    reader.Skip();
                    break;
            }
        }

        return modelType == BytePairEncoding
            ? SentencePieceModel.Create([.. pieces], [.. scores], [.. types], options, fileName)
            : throw new ModelFormatException(
                fileName,
                $"expected {BytePairEncoding} (BPE), found {modelType}{(modelType == Unigram ? " (Unigram)" : "")}: only BPE models are supported",
                "trainer_spec.model_type");
    }

    private static ProtobufReader Nested(ref ProtobufReader reader, string fileName, string message)
    {
        ReadOnlySpan<byte> bytes = reader.ReadBytes();
        return new ProtobufReader(bytes, fileName, message, reader.Offset - bytes.Length);
    }

    private static void ReadPiece(ProtobufReader reader, string fileName, List<string> pieces, List<float> scores, List<int> types)
    {
        string piece = "";
        float score = 0;
        int type = (int)PieceType.Normal;
        while (reader.NextField())
        {
            switch (reader.Field)
            {
                case 1:
                    piece = Text(reader.ReadBytes(), fileName, $"pieces[{pieces.Count}]");
                    break;
                case 2:
                    score = reader.ReadFloat();
                    break;
                case 3:
                    type = reader.ReadInt32();
                    break;
                default:
                    reader.Skip();
                    break;
            }
        }

        pieces.Add(piece);
        scores.Add(score);
        types.Add(type);
    }

    private static SentencePieceOptions ReadTrainer(ProtobufReader reader, string fileName, SentencePieceOptions options, ref int modelType)
    {
        while (reader.NextField())
        {
            switch (reader.Field)
            {
                case 3:
                    modelType = reader.ReadInt32();
                    break;
                case 24:
                    if (reader.ReadBool())
                    {
                        throw new ModelFormatException(fileName, "expected false, found true: not supported", "trainer_spec.treat_whitespace_as_suffix");
                    }

                    break;
                case 35:
                    options = options with { ByteFallback = reader.ReadBool() };
                    break;
                case 40:
                    options = options with { UnknownId = reader.ReadInt32() };
                    break;
                case 41:
                    options = options with { BosId = reader.ReadInt32() };
                    break;
                case 42:
                    options = options with { EosId = reader.ReadInt32() };
                    break;
                case 43:
                    options = options with { PadId = reader.ReadInt32() };
                    break;
                case 44:
                    options = options with { UnknownSurface = Text(reader.ReadBytes(), fileName, "trainer_spec.unk_surface") };
                    break;
                default:
                    reader.Skip();
                    break;
            }
        }

        return options;
    }

    private static SentencePieceOptions ReadNormalizer(ProtobufReader reader, string fileName, SentencePieceOptions options)
    {
        while (reader.NextField())
        {
            switch (reader.Field)
            {
                case 1:
                    string name = Text(reader.ReadBytes(), fileName, "normalizer_spec.name");

                    // These four rules do nothing but apply their map, so a file that names one without holding its map is damaged.
                    if (name is "nmt_nfkc" or "nfkc" or "nmt_nfkc_cf" or "nfkc_cf")
                    {
                        throw new ModelFormatException(fileName, $"expected 'identity', found '{name}': not supported", "normalizer_spec.name");
                    }

                    break;
                case 2:
                    int length = reader.ReadBytes().Length;
                    if (length > 0)
                    {
                        throw new ModelFormatException(
                            fileName, $"expected no bytes, found {length}: normalization maps are not supported", "normalizer_spec.precompiled_charsmap");
                    }

                    break;
                case 3:
                    options = options with { AddDummyPrefix = reader.ReadBool() };
                    break;
                case 4:
                    options = options with { RemoveExtraWhitespaces = reader.ReadBool() };
                    break;
                case 5:
                    options = options with { EscapeWhitespaces = reader.ReadBool() };
                    break;
                default:
                    reader.Skip();
                    break;
            }
        }

        return options;
    }

    private static string Text(ReadOnlySpan<byte> bytes, string fileName, string item) =>
        Utf8.IsValid(bytes) ? Encoding.UTF8.GetString(bytes) : throw new ModelFormatException(fileName, "expected UTF-8, found other bytes", item);
}
