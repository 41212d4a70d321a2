using Vicuna.Managed.Weights;

namespace Vicuna.Managed.Checkpoints;

/// <summary>Where a Hugging Face checkpoint's files come from: a folder, or memory.</summary>
internal interface IFileSource
{
    /// <summary>Name for messages.</summary>
    string Name { get; }

    /// <summary>Whether there is a file of this name.</summary>
    bool Exists(string fileName);

    /// <summary>Reads a small file whole.</summary>
    /// <exception cref="ModelFormatException">It is missing, unreadable or larger than <paramref name="maxBytes"/>.</exception>
    ReadOnlyMemory<byte> Read(string fileName, int maxBytes);

    /// <summary>Opens the tensors of a container.</summary>
    /// <exception cref="ModelFormatException">A file is missing, unreadable, damaged or hostile.</exception>
    TensorSet OpenTensors(CheckpointLayout layout, TensorSetOptions options, CancellationToken cancellationToken);
}
