namespace Vicuna.Managed.Models.Architectures;

/// <summary>The architectures that the decoder runs: a new one is a line here.</summary>
internal static class ArchitectureRegistry
{
    /// <summary>Every architecture.</summary>
    public static IReadOnlyList<Architecture> All { get; } =
    [
        new("llama", "LlamaForCausalLM", "llama") { HasBiasOptions = true },
        new("mistral", "MistralForCausalLM", "llama") { HasSlidingWindow = true },
    ];

    /// <summary>Finds an architecture by <c>model_type</c>.</summary>
    /// <exception cref="ModelFormatException">It is not supported; the message lists those that are.</exception>
    public static Architecture Find(string modelType, string fileName) =>
        All.FirstOrDefault(architecture => architecture.ModelType == modelType)
        ?? throw new ModelFormatException(fileName, $"architecture {ModelFormatException.Quote(modelType)} is not supported (supported: {string.Join(", ", All.Select(a => a.ModelType))})", "model_type");

    /// <summary>Finds an architecture by GGUF's name.</summary>
    /// <exception cref="ModelFormatException">It is not supported; the message lists those that are.</exception>
    public static Architecture FindGguf(string name, string fileName) =>
        All.FirstOrDefault(architecture => architecture.GgufName == name)
        ?? throw new ModelFormatException(
            fileName, $"architecture {ModelFormatException.Quote(name)} is not supported (supported: {string.Join(", ", All.Select(a => a.GgufName).Distinct())})", "general.architecture");
}
