using Vicuna.Managed;

namespace DesktopSample.ViewModels;

/// <summary>The usual way to load a model, and the model that is always there.</summary>
public static class ModelLoading
{
    /// <summary>Name of the embedded model.</summary>
    public const string EmbeddedName = "pico-vicuna";

    /// <summary>Loads a model from the disk, or the embedded one.</summary>
    /// <param name="path">A checkpoint folder or a .gguf file; null for the embedded model.</param>
    /// <param name="options">How to load.</param>
    /// <param name="cancellationToken">Stops loading.</param>
    /// <returns>The model.</returns>
    public static Task<LanguageModel> Load(string? path, LoadOptions options, CancellationToken cancellationToken) => path is null
        ? Task.Run(() => LanguageModel.LoadFiles(EmbeddedFiles.Read(typeof(ModelLoading).Assembly, EmbeddedName + "/"), options), cancellationToken)
        : LanguageModel.LoadAsync(path, options, cancellationToken);
}
