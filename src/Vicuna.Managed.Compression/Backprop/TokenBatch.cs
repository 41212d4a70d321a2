namespace Vicuna.Managed.Compression.Backprop;

/// <summary>Sequences one after another, as a pass computes them, and what they are to predict.</summary>
internal sealed class TokenBatch
{
    /// <summary>Brings sequences together.</summary>
    /// <param name="samples">The sequences, <c>[count]</c>.</param>
    public TokenBatch(IReadOnlyList<TrainingSample> samples)
    {
        List<int> ids = [];
        List<TokenRun> runs = [];
        List<int> rows = [];
        List<int> targets = [];
        foreach (TrainingSample sample in samples)
        {
            for (int i = 1; i < sample.Ids.Count; i++)
            {
                if (sample.Targets[i])
                {
                    rows.Add(ids.Count + i - 1);
                    targets.Add(sample.Ids[i]);
                }
            }

            runs.Add(new TokenRun(ids.Count, sample.Ids.Count));
            ids.AddRange(sample.Ids);
        }

        Ids = [.. ids];
        Runs = [.. runs];
        TargetRows = [.. rows];
        Targets = [.. targets];
    }

    /// <summary>All token ids, <c>[T]</c>.</summary>
    public int[] Ids { get; }

    /// <summary>The sequences.</summary>
    public TokenRun[] Runs { get; }

    /// <summary>Numbers of the tokens that predict something, ascending.</summary>
    public int[] TargetRows { get; }

    /// <summary>What they are to predict: the ids after them.</summary>
    public int[] Targets { get; }
}
