namespace Vicuna.Managed;

/// <summary>How far loading has come.</summary>
/// <param name="FileName">The file that was worked on.</param>
/// <param name="BytesDone">Bytes opened so far, of all files.</param>
/// <param name="BytesTotal">Bytes of all files.</param>
public readonly record struct LoadProgress(string FileName, long BytesDone, long BytesTotal);
