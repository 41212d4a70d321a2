using Vicuna.Managed;

namespace DesktopSample.ViewModels;

/// <summary>Loads a model, on another thread than the caller's.</summary>
/// <param name="path">A checkpoint folder or a .gguf file; null for the model that is embedded in the application.</param>
/// <param name="options">How to load, with the progress that is shown.</param>
/// <param name="cancellationToken">Stops loading.</param>
/// <returns>The model; the caller disposes it.</returns>
public delegate Task<LanguageModel> ModelLoader(string? path, LoadOptions options, CancellationToken cancellationToken);
