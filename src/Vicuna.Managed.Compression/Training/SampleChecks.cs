namespace Vicuna.Managed.Compression.Training;

/// <summary>Whether samples fit a model.</summary>
internal static class SampleChecks
{
    /// <summary>Checks all samples.</summary>
    /// <param name="data">The samples.</param>
    /// <param name="vocabulary">Number of ids.</param>
    /// <param name="context">Most tokens of a sequence.</param>
    /// <exception cref="ArgumentException">One does not fit.</exception>
    public static void Check(IReadOnlyList<TrainingSample> data, int vocabulary, int context)
    {
        for (int i = 0; i < data.Count; i++)
        {
            TrainingSample sample = data[i] ?? throw new ArgumentException($"Sample {i}: expected a sample, found null.", nameof(data));
            if (sample.Ids.Count > context)
            {
                throw new ArgumentException($"Sample {i}: expected at most the {context} tokens of the context, found {sample.Ids.Count}.", nameof(data));
            }

            foreach (int id in sample.Ids)
            {
                if (id < 0 || id >= vocabulary)
                {
                    throw new ArgumentException($"Sample {i}: expected ids of 0 to {vocabulary - 1}, found {id}.", nameof(data));
                }
            }
        }
    }
}
