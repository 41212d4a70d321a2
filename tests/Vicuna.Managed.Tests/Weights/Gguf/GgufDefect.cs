namespace Vicuna.Managed.Tests.Weights.Gguf;

/// <summary>What is wrong with a file that <see cref="GgufBuilder.Create"/> makes; among them the cases of llama.cpp's tests/test-gguf.cpp.</summary>
public enum GgufDefect
{
    None,

    // Header.
    MagicFugg,
    Version0,
    Version1,
    Version4,
    BigEndian,
    TensorCountNegative,
    PairCountNegative,
    TensorCountAboveCap,
    PairCountAboveCap,
    TensorCountBeyondFile,
    PairCountBeyondFile,

    // Metadata.
    KeyLengthNegative,
    KeyEmpty,
    KeyTooLong,
    KeyNotUtf8,
    KeyTwice,
    ValueTypeUnknown,
    BoolIsTwo,
    StringLengthNegative,
    StringBeyondFile,
    StringNotUtf8,
    ArrayTypeUnknown,
    ArrayNested,
    ArrayCountTwoToThe63,
    ArrayCountAboveCap,
    ArrayCountBeyondFile,
    ArrayStringNotUtf8,
    ArrayStringBeyondFile,
    Alignment13,
    Alignment0,
    AlignmentInt32,
    AlignmentTwoToThe31,
    SplitInTwo,
    SplitCountIsText,
    ArchitectureIsNumber,

    // Table of tensors.
    NameTooLong,
    NameEmpty,
    NameNotUtf8,
    NameTwice,
    NameTwiceOnceTranslated,
    Dimensions0,
    Dimensions5,
    DimensionNegative,
    DimensionsTooBig,
    DimensionsWrapToZero,
    BytesTooMany,
    ZeroHidesOverflow,
    RowNotWholeBlocks,
    TypeUnknown,
    TypeUnsupported,
    OffsetNegative,
    OffsetNotAligned,
    OffsetBeyondFile,
    AlignmentInconsistent,
    TensorsOverlap,

    // Data.
    DataOneByteShort,
    DataTwoHugeTensors,
}
