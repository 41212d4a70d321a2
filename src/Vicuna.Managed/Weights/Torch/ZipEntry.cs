namespace Vicuna.Managed.Weights.Torch;

/// <summary>One uncompressed entry of a zip archive; all positions are bytes from the start of the file and have been checked to lie in it.</summary>
/// <param name="Name">Its full name in the archive.</param>
/// <param name="HeaderOffset">Where its local header starts.</param>
/// <param name="DataOffset">Where its bytes start.</param>
/// <param name="Size">Their number.</param>
/// <param name="Crc">Their CRC-32 as the archive states it; not verified yet.</param>
/// <param name="Flags">General purpose bits: 3 (sizes follow the data) and 11 (the name is UTF-8) at most.</param>
internal sealed record ZipEntry(string Name, long HeaderOffset, long DataOffset, long Size, uint Crc, ushort Flags);
