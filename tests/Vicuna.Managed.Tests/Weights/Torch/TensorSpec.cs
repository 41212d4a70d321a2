namespace Vicuna.Managed.Tests.Weights.Torch;

/// <summary>One tensor for <see cref="PickleWriter"/>; without strides it gets the row-major ones.</summary>
internal sealed record TensorSpec(string Name, long[] Shape)
{
    public string StorageType { get; init; } = "HalfStorage";

    public string Key { get; init; } = "0";

    public long Count { get; init; } = 4;

    public long Offset { get; init; }

    public long[]? Strides { get; init; }

    public bool IsParameter { get; init; }
}
