namespace Vicuna.Managed.Weights.Torch;

/// <summary>A value on the stack of <see cref="TorchUnpickler"/>. It has no equality and no text on purpose: values can contain themselves.</summary>
/// <param name="kind">What it is.</param>
/// <param name="number">Its number, where it has one.</param>
/// <param name="reference">Its object, where it has one: an array, a list of pairs, a storage or a tensor.</param>
internal readonly struct PickleValue(PickleKind kind, long number = 0, object? reference = null)
{
    /// <summary>What it is.</summary>
    public PickleKind Kind { get; } = kind;

    /// <summary>Its number, where it has one.</summary>
    public long Number { get; } = number;

    /// <summary>The values of a <see cref="PickleKind.Tuple"/>.</summary>
    public PickleValue[] Items => (PickleValue[])reference!;

    /// <summary>The pairs of a <see cref="PickleKind.Dict"/>, in the order in which they were set; keys are texts.</summary>
    public List<KeyValuePair<PickleValue, PickleValue>> Pairs => (List<KeyValuePair<PickleValue, PickleValue>>)reference!;

    /// <summary>The <see cref="PickleKind.Storage"/>.</summary>
    public TorchStorage Storage => (TorchStorage)reference!;

    /// <summary>The <see cref="PickleKind.Tensor"/>.</summary>
    public TorchTensor Tensor => (TorchTensor)reference!;
}
