namespace Vicuna.Managed.Weights.Torch;

/// <summary>What a <see cref="PickleValue"/> is.</summary>
internal enum PickleKind : byte
{
    /// <summary>A mark on the stack; not a value that instructions may use.</summary>
    Mark,

    /// <summary>None.</summary>
    None,

    /// <summary>True or false.</summary>
    Bool,

    /// <summary>An integer, in <see cref="PickleValue.Number"/>.</summary>
    Integer,

    /// <summary>A floating-point number. Weights need none, so its value is not kept.</summary>
    Float,

    /// <summary>A text: where its UTF-8 bytes lie in the pickle (offset in the upper, length in the lower half of the number).</summary>
    Text,

    /// <summary>A tuple: an array of values.</summary>
    Tuple,

    /// <summary>A list. Weights need none, so its items are not kept.</summary>
    List,

    /// <summary>A dict or OrderedDict: a list of pairs.</summary>
    Dict,

    /// <summary>One of <see cref="PickleGlobal"/>, in the number.</summary>
    Global,

    /// <summary>A storage type, the <see cref="TensorType"/> in the number.</summary>
    StorageType,

    /// <summary>A <see cref="TorchStorage"/>.</summary>
    Storage,

    /// <summary>A <see cref="TorchTensor"/>.</summary>
    Tensor,
}
