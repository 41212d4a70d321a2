using Vicuna.Managed.Kernels.Limits;

namespace Vicuna.Managed.Measurement;

/// <summary>Times sequences beside the machine's own limits.</summary>
/// <param name="sequences">What is measured.</param>
/// <param name="work">What a pass costs.</param>
/// <param name="options">How much to run; checked by the caller.</param>
/// <param name="clock">The clock.</param>
internal sealed class SpeedMeasurement(ISequences sequences, PassWork work, SpeedTestOptions options, TimeProvider clock)
{
    // Long enough for the runtime to compile what is hot (it waits for 100 ms without new code), short for a large model.
    private const int WarmUpPromptTokens = 16;
    private const int WarmUpSteps = 40;
    private const int LeastWarmUpSteps = 4;
    private static readonly TimeSpan LeastWarmUpTime = TimeSpan.FromSeconds(0.5);
    private static readonly TimeSpan MostWarmUpTime = TimeSpan.FromSeconds(2);

    /// <summary>Runs until the code is compiled and the weights are in memory.</summary>
    /// <returns>
    /// Managed bytes that all threads allocate for a token of one sequence; the median step's, because a new page of a cache now and then is an
    /// object.
    /// </returns>
    public double WarmUp(CancellationToken cancellationToken)
    {
        long start = clock.GetTimestamp();
        int prompt = Math.Min(options.PromptTokens, WarmUpPromptTokens);
        int stepsOfASequence = Math.Min(options.NewTokens, LeastWarmUpSteps);
        int steps = 0;
        while (true)
        {
            sequences.Prefill(prompt, cancellationToken);
            List<double> allocated = [];
            for (int i = 0; i < stepsOfASequence; i++, steps++)
            {
                long before = sequences.AllocatedBytes;
                sequences.Step(cancellationToken);
                allocated.Add(sequences.AllocatedBytes - before);
            }

            TimeSpan elapsed = clock.GetElapsedTime(start);
            if ((steps >= WarmUpSteps && elapsed >= LeastWarmUpTime) || (steps >= LeastWarmUpSteps && elapsed >= MostWarmUpTime))
            {
                return SpeedTestResult.Median(allocated) / sequences.Count;
            }
        }
    }

    /// <summary>Measures the prompt and the new tokens, the limits before and after each time.</summary>
    /// <param name="limits">Measures the machine.</param>
    /// <param name="progress">Hears the number of repetitions done; may be null.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <returns>One sample for each repetition, and the most memory that was occupied after any of them.</returns>
    public (IReadOnlyList<SpeedTestSample> Samples, long OccupiedBytes) Run(
        Func<CancellationToken, MachineSpeed> limits, IProgress<int>? progress, CancellationToken cancellationToken)
    {
        List<SpeedTestSample> samples = [];
        long occupied = 0;
        MachineSpeed before = limits(cancellationToken);
        for (int repetition = 1; repetition <= options.Repeat; repetition++)
        {
            long start = clock.GetTimestamp();
            sequences.Prefill(options.PromptTokens, cancellationToken);
            double prefill = Math.Max(clock.GetElapsedTime(start).TotalSeconds, double.Epsilon);

            start = clock.GetTimestamp();
            for (int i = 0; i < options.NewTokens; i++)
            {
                sequences.Step(cancellationToken);
            }

            double decode = Math.Max(clock.GetElapsedTime(start).TotalSeconds, double.Epsilon);
            occupied = Math.Max(occupied, sequences.OccupiedBytes);
            MachineSpeed after = limits(cancellationToken);
            samples.Add(new SpeedTestSample
            {
                PrefillTokensPerSecond = (double)sequences.Count * options.PromptTokens / prefill,
                DecodeTokensPerSecond = (double)sequences.Count * options.NewTokens / decode,
                WeightGBPerSecond = (double)work.WeightBytes * options.NewTokens / decode / 1e9,
                PrefillGFlops = sequences.Count * work.PrefillOperations(options.PromptTokens) / prefill / 1e9,
                MemoryReadGBPerSecond = (before.MemoryReadGBPerSecond + after.MemoryReadGBPerSecond) / 2,
                FmaPeakGFlops = (before.FmaPeakGFlops + after.FmaPeakGFlops) / 2,
            });
            before = after;
            progress?.Report(repetition);
        }

        return (samples, occupied);
    }
}
