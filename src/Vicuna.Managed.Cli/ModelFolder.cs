namespace Vicuna.Managed.Cli;

/// <summary>A model's files on disk, for verbs that read a checkpoint's files themselves: the embedded model is laid down in a temporary folder.</summary>
internal sealed class ModelFolder : IDisposable
{
    private const string Embedded = "pico-vicuna";

    private readonly string? _temporary;

    private ModelFolder(string path, string? temporary)
    {
        Path = path;
        _temporary = temporary;
    }

    /// <summary>The folder or .gguf file.</summary>
    public string Path { get; }

    /// <summary>Finds the files of a model.</summary>
    /// <param name="path">What <c>--model</c> says; null for the embedded model.</param>
    public static ModelFolder Open(string? path)
    {
        if (path is not null)
        {
            return new ModelFolder(path, temporary: null);
        }

        // A folder in a folder: its name is the model's, which goes into what is made of it.
        string temporary = Directory.CreateTempSubdirectory($"{Embedded}-").FullName;
        ModelFolder folder = new(System.IO.Path.Combine(temporary, Embedded), temporary);
        try
        {
            Directory.CreateDirectory(folder.Path);
            foreach ((string name, ReadOnlyMemory<byte> bytes) in CommonOptions.EmbeddedModel())
            {
                File.WriteAllBytes(System.IO.Path.Combine(folder.Path, name), bytes.Span);
            }

            return folder;
        }
        catch
        {
            folder.Dispose();
            throw;
        }
    }

    /// <summary>Deletes the temporary folder.</summary>
    public void Dispose()
    {
        if (_temporary is not null)
        {
            Directory.Delete(_temporary, recursive: true);
        }
    }
}
