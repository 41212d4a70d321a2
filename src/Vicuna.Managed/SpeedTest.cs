using System.Diagnostics;
using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Kernels.Limits;
using Vicuna.Managed.Measurement;

namespace Vicuna.Managed;

/// <summary>
/// Measures how fast a model runs, beside the machine's own limits: how fast the same threads read memory, which bounds decoding, and how fast
/// they multiply and add, which bounds a prompt. Limits are measured before and after every repetition, so the ratios hold on a busy machine too.
/// </summary>
public static class SpeedTest
{
    /// <summary>Runs the test. It takes up to 2 GiB of memory beside the model and uses all of the model's threads.</summary>
    /// <param name="model">The model.</param>
    /// <param name="options">What to run; null for the defaults.</param>
    /// <param name="progress">Hears the number of repetitions done; may be null.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <returns>Medians and the single repetitions.</returns>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of range.</exception>
    /// <exception cref="ArgumentException">The context does not hold prompt and new tokens.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">The model has been disposed.</exception>
    public static SpeedTestResult Run(
        LanguageModel model, SpeedTestOptions? options = null, IProgress<int>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(model);
        options ??= new SpeedTestOptions();
        Check(options, model.ContextLength);
        PassWork work = new(model.Config, model.WeightBytesPerPass);
        using OneSequence sequences = new(model, options.PromptTokens);
        SpeedMeasurement measurement = new(sequences, work, options, TimeProvider.System);
        double allocated = measurement.WarmUp(cancellationToken);
        long peakBefore = PeakOfProcess();
        using MachineLimits limits = new(TierOf(model.InstructionSet), model.Threads, model.PrefillThreads, MemoryRead.AffordableBytes());
        (IReadOnlyList<SpeedTestSample> samples, long occupied) = measurement.Run(limits.Measure, progress, cancellationToken);
        return new SpeedTestResult
        {
            Samples = samples,
            Batch = options.Batch,
            Threads = model.Threads,
            PrefillThreads = model.PrefillThreads,
            InstructionSet = model.InstructionSet,
            WeightBytesPerPass = work.WeightBytes,
            PeakMemoryBytes = Math.Max(peakBefore, occupied - limits.MemoryBytes),
            MemoryReadBytes = limits.MemoryBytes,
            AllocatedBytesPerToken = allocated,
        };
    }

    private static void Check(SpeedTestOptions options, int contextLength)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(options.PromptTokens, 1, nameof(options.PromptTokens));
        ArgumentOutOfRangeException.ThrowIfLessThan(options.NewTokens, 1, nameof(options.NewTokens));
        ArgumentOutOfRangeException.ThrowIfLessThan(options.Repeat, 1, nameof(options.Repeat));
        if (options.Batch != 1)
        {
            throw new ArgumentOutOfRangeException(
                nameof(options), options.Batch, $"Batch: expected 1, found {options.Batch}: this version measures one sequence at a time.");
        }

        long tokens = (long)options.PromptTokens + options.NewTokens;
        if (tokens > contextLength)
        {
            throw new ArgumentException(
                $"The context holds {contextLength} tokens; {options.PromptTokens} of the prompt and {options.NewTokens} new ones are {tokens}.", nameof(options));
        }
    }

    private static IsaTier TierOf(InstructionSet set) => set switch
    {
        InstructionSet.Avx512 => IsaTier.Avx512,
        InstructionSet.Avx2 => IsaTier.Avx2,
        _ => IsaTier.Scalar,
    };

    private static long PeakOfProcess()
    {
        using Process process = Process.GetCurrentProcess();
        return process.PeakWorkingSet64;
    }

    // Batched passes come in here: the same prompt in several generators, all of which a step advances in one pass.
    private sealed class OneSequence(LanguageModel model, int promptTokens) : ISequences, IDisposable
    {
        private readonly Generator _generator = model.CreateGenerator(new GenerationOptions { Temperature = 0 });

        // The same ids every time, spread over the vocabulary so that no embedding row is met twice in a row.
        private readonly int[] _prompt = [.. Enumerable.Range(0, promptTokens).Select(i => (int)(((i + 1) * 7919L) % model.Config.VocabSize))];

        public int Count => 1;

        public long OccupiedBytes => Environment.WorkingSet;

        public long AllocatedBytes => GC.GetTotalAllocatedBytes(precise: true);

        public void Prefill(int tokens, CancellationToken cancellationToken)
        {
            _generator.Rewind(0);
            _generator.Append(_prompt.AsSpan(0, tokens), cancellationToken);
        }

        public void Step(CancellationToken cancellationToken)
        {
            // The token comes out of the pass before; its own pass is run at once, so that every step has exactly one.
            _generator.Next(cancellationToken);
            _generator.GetLogits(cancellationToken);
        }

        public void Dispose() => _generator.Dispose();
    }
}
