namespace Vicuna.Managed.AspNetCore.Metrics;

/// <summary>Counts of observations by size, for each of a few sets of labels. Safe for concurrent use.</summary>
/// <param name="name">Name of the family.</param>
/// <param name="help">What it is.</param>
/// <param name="bounds">Upper bounds of the buckets, ascending.</param>
internal sealed class Histogram(string name, string help, IReadOnlyList<double> bounds)
{
    private readonly Lock _lock = new();
    private readonly SortedDictionary<(string, string), Counts> _series = [];

    /// <summary>Adds an observation.</summary>
    /// <param name="value">Its size.</param>
    /// <param name="operation">The operation; one of a few.</param>
    /// <param name="error">Code of the error that it ended with, one of a few; or empty.</param>
    public void Observe(double value, string operation, string error = "")
    {
        int bucket = 0;
        while (bucket < bounds.Count && value > bounds[bucket])
        {
            bucket++;
        }

        lock (_lock)
        {
            if (!_series.TryGetValue((operation, error), out Counts? counts))
            {
                _series.Add((operation, error), counts = new Counts(bounds.Count + 1));
            }

            counts.Buckets[bucket]++;
            counts.Sum += value;
        }
    }

    /// <summary>Writes the family.</summary>
    /// <param name="text">Receives it.</param>
    /// <param name="model">The model's name.</param>
    public void Write(PrometheusText text, string model)
    {
        text.Family(name, "histogram", help);
        lock (_lock)
        {
            foreach (((string operation, string error), Counts counts) in _series)
            {
                (string, string)[] labels =
                [
                    ("gen_ai_operation_name", operation), ("gen_ai_provider_name", ServerMetrics.Provider), ("gen_ai_request_model", model),
                    .. error.Length > 0 ? new[] { ("error_type", error) } : [],
                ];
                long total = 0;
                for (int i = 0; i <= bounds.Count; i++)
                {
                    total += counts.Buckets[i];
                    string bound = PrometheusText.NumberOf(i < bounds.Count ? bounds[i] : double.PositiveInfinity);
                    text.Sample($"{name}_bucket", total, [.. labels, ("le", bound)]);
                }

                text.Sample($"{name}_sum", counts.Sum, labels);
                text.Sample($"{name}_count", total, labels);
            }
        }
    }

    private sealed class Counts(int buckets)
    {
        public long[] Buckets { get; } = new long[buckets];

        public double Sum { get; set; }
    }
}
