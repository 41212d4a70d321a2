namespace Vicuna.Managed.Compression.Data;

/// <summary>Where a record lies in a file of JSON.</summary>
/// <param name="Place">Its place as people count: <c>line 3</c> or <c>element 3</c>, from 1.</param>
/// <param name="Offset">First byte.</param>
/// <param name="Length">Size in bytes.</param>
internal readonly record struct JsonRecord(string Place, long Offset, int Length);
