namespace Vicuna.Managed;

/// <summary>How far loading has come. Where weights are quantized or rearranged, that is a second run from nothing to all, after the files were opened.</summary>
/// <param name="FileName">The file that was worked on; in the second run with the weights that were.</param>
/// <param name="BytesDone">Bytes opened, or of weights read, so far.</param>
/// <param name="BytesTotal">All bytes to open, or to read.</param>
public readonly record struct LoadProgress(string FileName, long BytesDone, long BytesTotal);
