namespace Vicuna.Managed;

/// <summary>Memory that a model needs, in bytes.</summary>
/// <param name="WeightBytes">
/// The weights: the files, mapped (shared, and given back under pressure) unless they are copied; or, where loading quantizes or rearranges, memory
/// of the process's own, and of the files the embedding and what stays as stored.
/// </param>
/// <param name="WorkBytes">Work space of the threads and buffers of a pass; of the latter only what a prompt is long enough to fill takes physical memory.</param>
/// <param name="SequenceBytes">Keys and values of the sequences, at the given length.</param>
public sealed record MemoryEstimate(long WeightBytes, long WorkBytes, long SequenceBytes)
{
    /// <summary>All of it, in bytes.</summary>
    public long TotalBytes => WeightBytes + WorkBytes + SequenceBytes;
}
