namespace Vicuna.Managed.Compression;

/// <summary>A sequence to learn from: token ids, and which of them the model is to predict.</summary>
public sealed class TrainingSample
{
    /// <summary>Makes a sample in which every token but the first is to be predicted.</summary>
    /// <param name="ids">Token ids, <c>[T]</c>.</param>
    /// <param name="promptTokens">Tokens at the start that are not to be predicted, 1 to T - 1.</param>
    /// <exception cref="ArgumentException">Fewer than two tokens, or nothing to predict.</exception>
    public TrainingSample(IReadOnlyList<int> ids, int promptTokens)
        : this(ids, [.. Enumerable.Range(0, ids?.Count ?? 0).Select(i => i >= promptTokens)])
    {
    }

    /// <summary>Makes a sample.</summary>
    /// <param name="ids">Token ids, <c>[T]</c>.</param>
    /// <param name="targets">Whether each token is to be predicted from those before it, <c>[T]</c>; the first one cannot be.</param>
    /// <exception cref="ArgumentException">The lengths differ, there are fewer than two tokens, the first is a target, or none is.</exception>
    public TrainingSample(IReadOnlyList<int> ids, IReadOnlyList<bool> targets)
    {
        ArgumentNullException.ThrowIfNull(ids);
        ArgumentNullException.ThrowIfNull(targets);
        if (ids.Count < 2 || ids.Count != targets.Count)
        {
            throw new ArgumentException($"Expected two or more ids and as many targets, found {ids.Count} and {targets.Count}.", nameof(ids));
        }

        if (targets[0] || !targets.Contains(true))
        {
            throw new ArgumentException($"Expected one or more targets among tokens 1 to {ids.Count - 1}, found {(targets[0] ? "token 0" : "none")}.", nameof(targets));
        }

        Ids = [.. ids];
        Targets = [.. targets];
        TargetCount = Targets.Count(target => target);
    }

    /// <summary>Token ids, <c>[T]</c>.</summary>
    public IReadOnlyList<int> Ids { get; }

    /// <summary>Whether each token is to be predicted, <c>[T]</c>.</summary>
    public IReadOnlyList<bool> Targets { get; }

    /// <summary>Number of tokens to be predicted.</summary>
    public int TargetCount { get; }
}
