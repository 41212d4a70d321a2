namespace Vicuna.Managed.Weights.Torch;

/// <summary>
/// The closed list of names that a state dict may refer to. Lists of forbidden names have always been got around; this one has no other way in.
/// </summary>
internal static class PickleGlobals
{
    /// <summary>What a name stands for; null where it is not in the list. Both parts must match exactly.</summary>
    public static PickleValue? Find(ReadOnlySpan<byte> module, ReadOnlySpan<byte> name)
    {
        if (module.SequenceEqual("torch"u8))
        {
            return StorageType(name) is TensorType type ? new PickleValue(PickleKind.StorageType, (long)type) : null;
        }

        if (module.SequenceEqual("torch._utils"u8))
        {
            return name.SequenceEqual("_rebuild_tensor_v2"u8) ? Callable(PickleGlobal.RebuildTensor)
                : name.SequenceEqual("_rebuild_parameter"u8) ? Callable(PickleGlobal.RebuildParameter)
                : null;
        }

        return module.SequenceEqual("collections"u8) && name.SequenceEqual("OrderedDict"u8) ? Callable(PickleGlobal.OrderedDict) : null;
    }

    private static PickleValue? Callable(PickleGlobal callable) => new PickleValue(PickleKind.Global, (long)callable);

    private static TensorType? StorageType(ReadOnlySpan<byte> name) =>
        name.SequenceEqual("HalfStorage"u8) ? TensorType.F16
        : name.SequenceEqual("BFloat16Storage"u8) ? TensorType.BF16
        : name.SequenceEqual("FloatStorage"u8) ? TensorType.F32
        : name.SequenceEqual("DoubleStorage"u8) ? TensorType.F64
        : name.SequenceEqual("LongStorage"u8) ? TensorType.I64
        : name.SequenceEqual("IntStorage"u8) ? TensorType.I32
        : name.SequenceEqual("ShortStorage"u8) ? TensorType.I16
        : name.SequenceEqual("CharStorage"u8) ? TensorType.I8
        : name.SequenceEqual("ByteStorage"u8) ? TensorType.U8
        : name.SequenceEqual("BoolStorage"u8) ? TensorType.Bool
        : null;
}
