namespace Vicuna.Managed.Cli;

/// <summary>A model's files on disk, for verbs that read a checkpoint's files themselves: the embedded model is laid down in a temporary folder.</summary>
internal sealed class ModelFolder : IDisposable
{
    private readonly bool _isTemporary;

    private ModelFolder(string path, bool isTemporary)
    {
        Path = path;
        _isTemporary = isTemporary;
    }

    /// <summary>The folder or .gguf file.</summary>
    public string Path { get; }

    /// <summary>Finds the files of a model.</summary>
    /// <param name="path">What <c>--model</c> says; null for the embedded model.</param>
    public static ModelFolder Open(string? path)
    {
        if (path is not null)
        {
            return new ModelFolder(path, isTemporary: false);
        }

        ModelFolder folder = new(Directory.CreateTempSubdirectory("pico-vicuna-").FullName, isTemporary: true);
        try
        {
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
        if (_isTemporary)
        {
            Directory.Delete(Path, recursive: true);
        }
    }
}
