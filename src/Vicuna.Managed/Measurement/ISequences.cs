namespace Vicuna.Managed.Measurement;

/// <summary>Sequences that are run together: the seam between a speed test and what it measures.</summary>
internal interface ISequences
{
    /// <summary>Number of sequences.</summary>
    int Count { get; }

    /// <summary>Bytes of memory that the process occupies, shared and mapped pages included.</summary>
    long OccupiedBytes { get; }

    /// <summary>Bytes of managed memory that all threads have allocated so far.</summary>
    long AllocatedBytes { get; }

    /// <summary>Empties all sequences and runs a prompt of <paramref name="tokens"/> tokens through each of them.</summary>
    void Prefill(int tokens, CancellationToken cancellationToken);

    /// <summary>Adds one token to each sequence and runs it: one pass over the weights.</summary>
    void Step(CancellationToken cancellationToken);
}
