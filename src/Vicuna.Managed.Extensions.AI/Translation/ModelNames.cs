namespace Vicuna.Managed.Extensions.AI.Translation;

/// <summary>What models are called.</summary>
internal static class ModelNames
{
    /// <summary>Name of the provider in metadata and telemetry.</summary>
    public const string Provider = "vicuna.managed";

    private const string FileExtension = ".gguf";

    /// <summary>The given name, or that of the model's folder or file.</summary>
    /// <exception cref="ArgumentException">The given name is empty.</exception>
    public static string Of(LanguageModel model, string? given)
    {
        if (given is not null)
        {
            return given.Length > 0 ? given : throw new ArgumentException("ModelId: expected a name, found an empty one.", nameof(given));
        }

        string path = model.Info.Path;
        string name = path.Length > 0 ? Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(path))) : path;
        name = name.EndsWith(FileExtension, StringComparison.OrdinalIgnoreCase) ? Path.GetFileNameWithoutExtension(name) : name;
        return name.Length > 0 ? name : "model";
    }

    /// <summary>Checks that a request that names a model names this one.</summary>
    /// <exception cref="ArgumentException">It names another.</exception>
    public static void Check(string? asked, string own)
    {
        if (asked is { Length: > 0 } && asked != own)
        {
            throw new ArgumentException($"ModelId: expected '{own}', the model that is loaded, or none, found '{asked}'.", nameof(asked));
        }
    }
}
