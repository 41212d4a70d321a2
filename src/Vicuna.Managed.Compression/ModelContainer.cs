namespace Vicuna.Managed.Compression;

/// <summary>How a checkpoint lies on disk.</summary>
public enum ModelContainer
{
    /// <summary>A folder in Hugging Face's layout with safetensors files.</summary>
    Safetensors,

    /// <summary>One GGUF file, as llama.cpp reads it.</summary>
    Gguf,
}
