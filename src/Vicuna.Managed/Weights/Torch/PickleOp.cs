namespace Vicuna.Managed.Weights.Torch;

/// <summary>The pickle instructions that a state dict is made of (names and codes of Python's pickletools). Every other code is refused.</summary>
internal enum PickleOp : byte
{
    /// <summary>Push a mark.</summary>
    Mark = (byte)'(',

    /// <summary>End; the top of the stack is the result.</summary>
    Stop = (byte)'.',

    /// <summary>Push a float of 8 big-endian bytes.</summary>
    BinFloat = (byte)'G',

    /// <summary>Push a signed integer of 4 bytes.</summary>
    BinInt = (byte)'J',

    /// <summary>Push an unsigned integer of 1 byte.</summary>
    BinInt1 = (byte)'K',

    /// <summary>Push an unsigned integer of 2 bytes.</summary>
    BinInt2 = (byte)'M',

    /// <summary>Push None.</summary>
    None = (byte)'N',

    /// <summary>Replace a persistent id by the object that it names: here a storage.</summary>
    BinPersId = (byte)'Q',

    /// <summary>Call: replace a callable and its arguments by the result.</summary>
    Reduce = (byte)'R',

    /// <summary>Push a text of a 4-byte length and UTF-8 bytes.</summary>
    BinUnicode = (byte)'X',

    /// <summary>Append one value to a list.</summary>
    Append = (byte)'a',

    /// <summary>Set the state of an object.</summary>
    Build = (byte)'b',

    /// <summary>Push a named object: module line and name line.</summary>
    Global = (byte)'c',

    /// <summary>Append the values above the mark to a list.</summary>
    Appends = (byte)'e',

    /// <summary>Push memo number (1 byte).</summary>
    BinGet = (byte)'h',

    /// <summary>Push memo number (4 bytes).</summary>
    LongBinGet = (byte)'j',

    /// <summary>Copy the top of the stack to memo number (1 byte).</summary>
    BinPut = (byte)'q',

    /// <summary>Copy the top of the stack to memo number (4 bytes).</summary>
    LongBinPut = (byte)'r',

    /// <summary>Put one pair into a dictionary.</summary>
    SetItem = (byte)'s',

    /// <summary>Make a tuple of the values above the mark.</summary>
    Tuple = (byte)'t',

    /// <summary>Put the pairs above the mark into a dictionary.</summary>
    SetItems = (byte)'u',

    /// <summary>Push an empty list.</summary>
    EmptyList = (byte)']',

    /// <summary>Push an empty dictionary.</summary>
    EmptyDict = (byte)'}',

    /// <summary>Push an empty tuple.</summary>
    EmptyTuple = (byte)')',

    /// <summary>State the protocol (1 byte); only ever the first instruction.</summary>
    Proto = 0x80,

    /// <summary>Make a tuple of one value.</summary>
    Tuple1 = 0x85,

    /// <summary>Make a tuple of two values.</summary>
    Tuple2 = 0x86,

    /// <summary>Make a tuple of three values.</summary>
    Tuple3 = 0x87,

    /// <summary>Push true.</summary>
    NewTrue = 0x88,

    /// <summary>Push false.</summary>
    NewFalse = 0x89,

    /// <summary>Push a signed integer of a 1-byte length and that many bytes: storages of 2^31 elements and more.</summary>
    Long1 = 0x8A,
}
