namespace Vicuna.Managed.Models.Architectures;

/// <summary>What distinguishes one architecture of the Llama family from another: data, no code of its own.</summary>
/// <param name="ModelType">Hugging Face's <c>model_type</c>.</param>
/// <param name="ClassName">Hugging Face's class name in <c>architectures</c>.</param>
/// <param name="GgufName">GGUF's <c>general.architecture</c>.</param>
internal sealed record Architecture(string ModelType, string ClassName, string GgufName)
{
    /// <summary>Whether <c>attention_bias</c> and <c>mlp_bias</c> are keys of its config.</summary>
    public bool HasBiasOptions { get; init; }

    /// <summary>Whether <c>sliding_window</c> is a key of its config.</summary>
    public bool HasSlidingWindow { get; init; }
}
