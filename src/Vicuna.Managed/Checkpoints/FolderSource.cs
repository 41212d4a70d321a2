using Vicuna.Managed.Weights;

namespace Vicuna.Managed.Checkpoints;

/// <summary>A folder as downloaded from the hub.</summary>
internal sealed class FolderSource(string folder, bool allowSymbolicLinks) : IFileSource
{
    /// <inheritdoc/>
    public string Name => folder;

    /// <inheritdoc/>
    public bool Exists(string fileName) => File.Exists(Path.Combine(folder, fileName));

    /// <inheritdoc/>
    public ReadOnlyMemory<byte> Read(string fileName, int maxBytes)
    {
        try
        {
            FileInfo info = new(Path.Combine(folder, fileName));
            if (info.LinkTarget is not null)
            {
                if (!allowSymbolicLinks)
                {
                    throw new ModelFormatException(fileName, "the file is a symbolic link, which the load options do not allow", item: null);
                }

                info = info.ResolveLinkTarget(returnFinalTarget: true) as FileInfo ?? info;
            }

            if (!info.Exists)
            {
                throw new ModelFormatException(fileName, $"expected the file in {folder}, found none", item: null);
            }

            return info.Length <= maxBytes
                ? File.ReadAllBytes(info.FullName)
                : throw new ModelFormatException(fileName, $"expected at most {maxBytes} bytes, found {info.Length}", item: null);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new ModelFormatException(fileName, $"the file cannot be read ({exception.Message})", item: null, exception);
        }
    }

    /// <inheritdoc/>
    public TensorSet OpenTensors(CheckpointLayout layout, TensorSetOptions options, CancellationToken cancellationToken) =>
        TensorSet.Open(folder, layout, options, cancellationToken);
}
