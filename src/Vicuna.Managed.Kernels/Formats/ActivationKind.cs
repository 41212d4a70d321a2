namespace Vicuna.Managed.Kernels.Formats;

/// <summary>How the products of a format read their activations.</summary>
internal enum ActivationKind
{
    /// <summary>f32 as computed, <c>[tokens, columns]</c>.</summary>
    Floats,

    /// <summary>f32 in tiles, see <see cref="FloatPanel"/>.</summary>
    FloatPanel,

    /// <summary>16-bit integers with a scale a token, see <see cref="Packed.Int16Activations"/>.</summary>
    Int16,

    /// <summary>8-bit integers with a scale a group, see <see cref="Packed.Int8Activations"/>.</summary>
    Int8,
}
