using Vicuna.Managed.Tests.Support;
using Vicuna.Managed.Tokenization;

namespace Vicuna.Managed.Tests.Tokenization;

public sealed class SentencePieceModelTests
{
    /// <summary>Name, bytes and a part of the message: what is wrong must be said with its numbers.</summary>
    private static readonly (string Name, Func<byte[]> Bytes, string Message)[] Malformed =
    [
        ("Empty", () => [], "expected 2 (BPE), found 1 (Unigram)"),
        ("NoTrainer", () => ModelProto.Start().With(m => m.Trainer.Clear()).ToBytes(), "expected 2 (BPE), found 1 (Unigram)"),
        ("Unigram", () => ModelProto.Start().With(m => m.Trainer.AddRange(ModelProto.Varint(3, 1))).ToBytes(), "found 1 (Unigram)"),
        ("UnknownModelType", () => ModelProto.Start().With(m => m.Trainer.AddRange(ModelProto.Varint(3, 77))).ToBytes(), "found 77"),
        ("GitLfsPointer", () => "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 499723\n"u8.ToArray(), "Git LFS pointer"),
        ("PlainText", () => "this is not a model"u8.ToArray(), "wire type"),
        ("Truncated", () => ModelProto.Start().AddRanked("a").ToBytes()[..500], "expected at most"),
        ("TruncatedInTag", () => [0x80], "found the end"),
        ("FieldZero", () => [0x00, 0x00], "expected a field tag"),
        ("TagTooLarge", () => [0xf8, 0xff, 0xff, 0xff, 0xff, 0x01, 0x00], "expected a field tag"),
        ("EndlessVarint", () => [0x50, .. Enumerable.Repeat((byte)0xff, 11)], "more"),
        ("TooWideVarint", () => [0x50, .. Enumerable.Repeat((byte)0xff, 9), 0x02], "more bits"),
        ("LengthBeyondTheEnd", () => [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], "found a length of 18446744073709551615"),
        ("NestedGroups", () => [.. Enumerable.Repeat((byte)0x3b, 200_000)], "found 3"),
        ("GroupInAPiece", () => [0x0a, 0x02, 0x0b, 0x0c], "found 3"),
        ("PieceOfTheWrongWireType", () => [0x08, 0x01], "expected wire type 2, found 0"),
        ("ScoreOfTheWrongWireType", () => ModelProto.Bytes(1, ModelProto.Varint(2, 1)), "expected wire type 5, found 0"),
        ("FloatCutOff", () => ModelProto.Bytes(1, [0x15, 0x00, 0x00]), "expected 4 bytes, found 2"),
        ("NoPieces", () => ModelProto.Start().With(m => m.Pieces.Clear()).ToBytes(), "found 0 pieces"),
        ("NoUnknown", () => ModelProto.Start().Set(0, "<unk>", 0, ModelProto.Control).ToBytes(), "expected one unknown piece, found none in 259"),
        ("TwoUnknown", () => ModelProto.Start().Add("<unk2>", 0, ModelProto.Unknown).ToBytes(), "expected one unknown piece, found 0 and 259"),
        ("EmptyPiece", () => ModelProto.Start().Add("").ToBytes(), "'pieces[259]': expected a text, found an empty piece"),
        ("TwoEmptyPieces", () => ModelProto.Start().Add("").Add("").ToBytes(), "found an empty piece"),
        ("DuplicatePiece", () => ModelProto.Start().Add("a").Add("b").Add("a").ToBytes(), "'pieces[261]': expected distinct pieces, found 'a' at 259 also"),
        ("NaNScore", () => ModelProto.Start().Add("a", float.NaN).ToBytes(), "found NaN"),
        ("InfiniteScore", () => ModelProto.Start().Add("a", float.PositiveInfinity).ToBytes(), "expected a finite score"),
        ("Type99", () => ModelProto.Start().Add("a", 0, 99).ToBytes(), "expected a type from 1 to 6, found 99"),
        ("Type0", () => ModelProto.Start().Add("a", 0, 0).ToBytes(), "found 0"),
        ("TypeBeyond32Bits", () => ModelProto.Bytes(1, ModelProto.Varint(3, 1L << 33)), "expected a 32-bit number, found 8589934592"),
        ("NotUtf8", () => ModelProto.Start().With(m => m.Pieces.Add(([0x61, 0xff], 0, 1))).ToBytes(), "expected UTF-8"),
        ("SurrogateInUtf8", () => ModelProto.Start().With(m => m.Pieces.Add(([0xed, 0xa0, 0x80], 0, 1))).ToBytes(), "expected UTF-8"),
        ("ByteMissing", () => ModelProto.Start().With(m => m.Pieces.RemoveAt(258)).ToBytes(), "expected 256 byte pieces, as byte_fallback is on, found 255"),
        ("BytesMissing", () => ModelProto.Start(byteFallback: false).With(m => m.Trainer.AddRange(ModelProto.Varint(35, 1))).ToBytes(), "found 0"),
        ("NegativeByte", () => ModelProto.Start().Set(4, "<0x-1>", 0, ModelProto.Byte).ToBytes(), "expected byte piece '<0x01>', found '<0x-1>'"),
        ("LowerCaseByte", () => ModelProto.Start().Set(258, "<0xff>", 0, ModelProto.Byte).ToBytes(), "expected byte piece '<0xFF>', found '<0xff>'"),
        ("BytesOutOfOrder", () => ModelProto.Start().With(m => (m.Pieces[10], m.Pieces[20]) = (m.Pieces[20], m.Pieces[10])).ToBytes(), "found '<0x11>'"),
        ("BytesNotContiguous", () => ModelProto.Start().With(m => m.Pieces.Insert(100, ([0x61], 0, 1))).ToBytes(), "found 'a' of type 1"),
        ("ByteBeyondTheEnd", () => ModelProto.Start().With(m => (m.Pieces[3], m.Pieces[0]) = (m.Pieces[0], m.Pieces[3])).ToBytes(), "expected"),
        ("ByteWithoutFallback", () => ModelProto.Start().With(m => m.Trainer.AddRange(ModelProto.Varint(35, 0))).ToBytes(), "byte_fallback is off"),
        ("BosOutOfRange", () => WithId(41, 999999), "'bos_id': expected -1 or a piece from 0 to 258, found 999999"),
        ("EosNegative", () => WithId(42, -7), "'eos_id': expected -1 or a piece from 0 to 258, found -7"),
        ("PadOutOfRange", () => WithId(43, 259), "'pad_id'"),
        ("UnknownIdOutOfRange", () => WithId(40, 259), "'unk_id'"),
        ("BosIsNoControl", () => WithId(41, 0), "expected a control piece, found piece 0 of type 2"),
        ("EosIsAByte", () => WithId(42, 3), "expected a control piece, found piece 3 of type 6"),
        ("EosIsText", () => ModelProto.Start().Add("a").With(m => m.Trainer.AddRange(ModelProto.Varint(42, 259))).ToBytes(), "of type 1"),
        ("CharsmapOf2Bytes", () => WithNormalizer(ModelProto.Bytes(2, [1, 2])), "'normalizer_spec.precompiled_charsmap': expected no bytes, found 2"),
        ("CharsmapTooBig", () => WithNormalizer(ModelProto.Bytes(2, [255, 255, 255, 255, 0, 0, 0, 0])), "found 8"),
        ("NmtNfkc", () => WithNormalizer(ModelProto.Bytes(1, "nmt_nfkc"u8)), "found 'nmt_nfkc'"),
        ("NormalizerNameNotUtf8", () => WithNormalizer(ModelProto.Bytes(1, [0xff])), "expected UTF-8"),
        ("DenormalizerMap", () => ModelProto.Start().With(m => m.Tail.AddRange(ModelProto.Bytes(5, ModelProto.Bytes(2, [1, 2, 3])))).ToBytes(), "found 3"),
        ("SpaceAsSuffix", () => ModelProto.Start().With(m => m.Trainer.AddRange(ModelProto.Varint(24, 1))).ToBytes(), "treat_whitespace_as_suffix"),
        ("LongUserDefined", () => ModelProto.Start().Add(new string('u', 1001), 0, ModelProto.UserDefined).ToBytes(), "found 1001"),
    ];

    public static TheoryData<string> MalformedNames => [.. Malformed.Select(m => m.Name)];

    [Theory]
    [MemberData(nameof(MalformedNames))]
    public void Read_OfAMalformedModel_SaysWhatIsWrong(string name)
    {
        (_, Func<byte[]> bytes, string message) = Malformed.Single(m => m.Name == name);
        ModelFormatException error = Assert.Throws<ModelFormatException>(() => SentencePieceModel.Read(bytes(), "my.model"));
        Assert.StartsWith("my.model: ", error.Message, StringComparison.Ordinal);
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', error.Message);
    }

    [Fact]
    public void Read_OfTheDefaults_TakesSentencePieces()
    {
        ModelProto proto = ModelProto.Start(byteFallback: false).AddRanked("a");
        proto.Normalizer.Clear();
        SentencePieceModel model = SentencePieceModel.Read(proto.ToBytes(), "m");
        Assert.Equal(
            new SentencePieceOptions
            {
                UnknownId = 0,
                BosId = 1,
                EosId = 2,
                PadId = -1,
                AddDummyPrefix = true,
                RemoveExtraWhitespaces = true,
                EscapeWhitespaces = true,
                UnknownSurface = " \u2047 ",
            },
            model.Options);
        Assert.Equal(-1, model.FirstByteId);
        Assert.Equal(4, model.Count);
    }

    [Fact]
    public void Read_OfAPieceWithoutScoreOrType_TakesZeroAndNormal()
    {
        ModelProto proto = ModelProto.Start();
        proto.Tail.AddRange(ModelProto.Bytes(1, ModelProto.Bytes(1, "x"u8)));
        SentencePieceModel model = SentencePieceModel.Read(proto.ToBytes(), "m");
        Assert.Equal(("x", 0f, PieceType.Normal), (model.Pieces[259], model.Scores[259], model.Types[259]));
    }

    [Fact]
    public void Read_OfUnknownFields_PassesOverThem()
    {
        ModelProto proto = ModelProto.Start();
        byte[] fixed64 = [0xd1, 0x0c, 1, 2, 3, 4, 5, 6, 7, 8];
        proto.Tail.AddRange([.. ModelProto.Varint(1000, -1), .. ModelProto.Bytes(200, [0xff]), .. ModelProto.Float(201, 1f), .. fixed64]);
        Assert.Equal(259, SentencePieceModel.Read(proto.ToBytes(), "m").Count);
    }

    [Fact]
    public void Read_OfANulPiece_IsLegal()
    {
        SentencePieceTokenizer tokenizer = SentencePieceTokenizer.Load(ModelProto.Start().AddRanked("\0", "\u2581", "\0\0").ToBytes(), "m");
        Assert.Equal([260, 261], tokenizer.Encode("\0\0", addBos: false));
        Assert.Equal("\0\0", tokenizer.Decode([260, 261]));
    }

    [Theory]
    [InlineData(ModelProto.Normal)]
    [InlineData(ModelProto.Unused)]
    [InlineData(ModelProto.Control)]
    public void Read_OfAPieceOfAMegabyte_EncodesAndDecodes(int type)
    {
        string piece = new('y', 1 << 20);
        SentencePieceTokenizer tokenizer = SentencePieceTokenizer.Load(ModelProto.Start().Add("y").Add("yy", -1).Add(piece, -2, type).ToBytes(), "m");
        Assert.Equal((1 << 19) + 3, tokenizer.Encode(piece, addBos: false).Count);
        Assert.Equal(type == ModelProto.Control ? 0 : 1 << 20, tokenizer.Decode([261]).Length);
    }

    [Fact]
    public void Read_BeyondTheLimits_Refuses()
    {
        byte[] piece = ModelProto.Bytes(1, []);
        byte[] many = new byte[piece.Length * (SentencePieceModel.MaxPieces + 1)];
        for (int i = 0; i < many.Length; i++)
        {
            many[i] = piece[i % piece.Length];
        }

        ModelFormatException tooMany = Assert.Throws<ModelFormatException>(() => SentencePieceModel.Read(many, "m"));
        Assert.Contains("expected at most 1000000 pieces", tooMany.Message, StringComparison.Ordinal);
        ModelFormatException tooLong = Assert.Throws<ModelFormatException>(() => SentencePieceModel.Read(new byte[SentencePieceModel.MaxFileBytes + 1], "m"));
        Assert.Contains("found 67108865", tooLong.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Load_OfAPath_ReadsTheFileOrNamesIt()
    {
        using TempFolder folder = new();
        string path = folder.Write("tokenizer.model", ModelProto.Start().AddRanked("a").ToBytes());
        Assert.Equal(260, SentencePieceTokenizer.Load(path).VocabularySize);
        string broken = folder.Write("broken.model", "{}");
        Assert.Equal(broken, Assert.Throws<ModelFormatException>(() => SentencePieceTokenizer.Load(broken)).FileName);
        Assert.Throws<FileNotFoundException>(() => SentencePieceTokenizer.Load(folder.File("absent")));
        using (FileStream huge = File.Create(folder.File("huge")))
        {
            huge.SetLength(SentencePieceModel.MaxFileBytes + 1L);
        }

        ModelFormatException tooLong = Assert.Throws<ModelFormatException>(() => SentencePieceTokenizer.Load(folder.File("huge")));
        Assert.Contains("found 67108865", tooLong.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Create_OfAGgufVocabulary_ChecksTheSame()
    {
        string[] pieces = ["<unk>", "<s>", "</s>", "a", "b", "ab"];
        float[] scores = [0, 0, 0, -2, -3, -1];
        int[] types = [2, 3, 3, 1, 1, 1];
        SentencePieceOptions options = new() { AddDummyPrefix = false, RemoveExtraWhitespaces = false };
        SentencePieceTokenizer tokenizer = new(SentencePieceModel.Create(pieces, scores, types, options, "x.gguf"), addBos: false);
        Assert.False(tokenizer.AddBos);
        Assert.Equal([5, 3], tokenizer.Encode("aba", addBos: false));

        Assert.Throws<ModelFormatException>(() => SentencePieceModel.Create(pieces, scores[..5], types, options, "x.gguf"));
        Assert.Throws<ModelFormatException>(() => SentencePieceModel.Create(pieces, scores, types.AsSpan(1), options, "x.gguf"));
        Assert.Throws<ModelFormatException>(() => SentencePieceModel.Create(["<unk>", "<s>", "</s>", "a", "b", "\ud800"], scores, types, options, "x.gguf"));
        Assert.Throws<ModelFormatException>(() => SentencePieceModel.Create(pieces, scores, types, options with { EosId = 6 }, "x.gguf"));
        Assert.Throws<ModelFormatException>(() => SentencePieceModel.Create(pieces, scores, types, options with { ByteFallback = true }, "x.gguf"));
    }

    [Fact]
    public void Create_OfUserDefinedMarks_MakesThemControlPieces()
    {
        string[] pieces = ["<unk>", "<s>", "</s>", "<|im_end|>", "<mask>", "[PAD]"];
        SentencePieceOptions options = new() { AddDummyPrefix = false, PadId = 5 };
        SentencePieceModel model = SentencePieceModel.Create(pieces, new float[6], [2, 4, 4, 4, 4, 4], options, "x.gguf");
        Assert.Equal([PieceType.Control, PieceType.Control, PieceType.Control, PieceType.UserDefined, PieceType.Control], model.Types[1..].ToArray());
        SentencePieceTokenizer tokenizer = new(model);
        Assert.Equal([0, 4, 0], tokenizer.Encode("</s><mask><|im_end|>[PAD]", addBos: false));
    }

    private static byte[] WithId(int field, int id) => ModelProto.Start().With(m => m.Trainer.AddRange(ModelProto.Varint(field, id))).ToBytes();

    private static byte[] WithNormalizer(byte[] bytes) => ModelProto.Start().With(m => m.Normalizer.AddRange(bytes)).ToBytes();
}
