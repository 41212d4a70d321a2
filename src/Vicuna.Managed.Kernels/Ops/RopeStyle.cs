namespace Vicuna.Managed.Kernels.Ops;

/// <summary>Which two elements of a head rotary embedding turns together.</summary>
internal enum RopeStyle
{
    /// <summary>Element i with element i + d/2: Hugging Face's row order.</summary>
    Halves,

    /// <summary>Element 2i with element 2i + 1: the paper's order, and that of GGUF files, whose Q and K rows are permuted to match.</summary>
    Adjacent,
}
