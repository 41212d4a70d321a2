namespace Vicuna.Managed;

/// <summary>How the model's memory of a sequence, its keys and values, is stored.</summary>
public enum KeyValueType
{
    /// <summary>Half precision, the default: half the memory of <see cref="F32"/>.</summary>
    F16,

    /// <summary>Single precision, as computed: for measurements and comparisons.</summary>
    F32,

    /// <summary>8-bit integers with a scale per head and position: a quarter of the memory of <see cref="F32"/>.</summary>
    Q8,
}
