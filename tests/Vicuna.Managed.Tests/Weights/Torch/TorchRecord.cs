namespace Vicuna.Managed.Tests.Weights.Torch;

/// <summary>One record of <see cref="TorchFileBuilder"/>; null and default values give what PyTorch writes, the others its defects.</summary>
internal sealed class TorchRecord
{
    public required string Name { get; set; }

    public byte[] Data { get; set; } = [];

    /// <summary>Zero bytes after <see cref="Data"/> that are skipped, so that huge files stay sparse. They are not in the checksum.</summary>
    public long Hole { get; set; }

    public string? LocalName { get; set; }

    public ushort Method { get; set; }

    public ushort? LocalMethod { get; set; }

    public ushort Flags { get; set; } = 0x0808;

    public ushort? LocalFlags { get; set; }

    public uint? Crc { get; set; }

    /// <summary>Sizes and checksum that the local header states; null for zeros, as PyTorch leaves them to the descriptor.</summary>
    public uint? LocalSize { get; set; }

    public uint LocalCrc { get; set; }

    public uint? CompressedSize { get; set; }

    public uint? Size { get; set; }

    public uint? Offset { get; set; }

    public ushort Disk { get; set; }

    public byte[] CentralExtra { get; set; } = [];

    public byte[] LocalExtra { get; set; } = [];

    public bool HasDescriptor { get; set; } = true;

    public uint? DescriptorCrc { get; set; }

    public ulong? DescriptorSize { get; set; }

    /// <summary>Bytes between this record and the next.</summary>
    public byte[] Slack { get; set; } = [];
}
