namespace Vicuna.Managed.Kernels.Ops;

/// <summary>How the elements of keys and values are stored.</summary>
internal enum KvType
{
    /// <summary>f32, as computed.</summary>
    F32,

    /// <summary>IEEE half precision, limited to ±65504.</summary>
    F16,

    /// <summary>Integers from -127 to 127 with one f32 scale per position and head.</summary>
    Q8,
}
