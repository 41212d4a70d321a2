using System.Diagnostics;
using Vicuna.Managed.Generation;
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
    /// <summary>Runs the test. It takes up to 2 GiB of memory beside the model and the sequences, and uses all of the model's threads.</summary>
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
        Check(options, model);
        PassWork work = new(model.Config, model.WeightBytesPerPass);
        using TestedSequences sequences = new(model, options);
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

    private static void Check(SpeedTestOptions options, LanguageModel model)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(options.PromptTokens, 1, nameof(options.PromptTokens));
        ArgumentOutOfRangeException.ThrowIfLessThan(options.NewTokens, 1, nameof(options.NewTokens));
        ArgumentOutOfRangeException.ThrowIfLessThan(options.Repeat, 1, nameof(options.Repeat));
        if (options.Batch < 1 || options.Batch > model.TokensPerPass)
        {
            throw new ArgumentOutOfRangeException(
                nameof(options), options.Batch, $"Batch: expected 1 to {model.TokensPerPass}, the most tokens of a pass, found {options.Batch}.");
        }

        long tokens = (long)options.PromptTokens + options.NewTokens;
        if (tokens > model.ContextLength)
        {
            throw new ArgumentException(
                $"The context holds {model.ContextLength} tokens; {options.PromptTokens} of the prompt and {options.NewTokens} new ones are {tokens}.", nameof(options));
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

    private sealed class TestedSequences : ISequences, IDisposable
    {
        private readonly Generator[] _generators;
        private readonly SequenceBatch _batch;
        private readonly int[] _prompt;

        public TestedSequences(LanguageModel model, SpeedTestOptions options)
        {
            // The same ids every time, spread over the vocabulary so that no embedding row is met twice in a row.
            _prompt = [.. Enumerable.Range(1, options.PromptTokens).Select(i => (int)(i * 7919L % model.Config.VocabSize))];
            _generators = [.. Enumerable.Range(0, options.Batch).Select(_ => model.CreateGenerator(new GenerationOptions { Temperature = 0 }))];
            _batch = model.CreateBatch();
            foreach (Generator generator in _generators)
            {
                _batch.Add(generator.Sequence);
            }
        }

        public int Count => _generators.Length;

        public long OccupiedBytes => Environment.WorkingSet;

        public long AllocatedBytes => GC.GetTotalAllocatedBytes(precise: true);

        public void Prefill(int tokens, CancellationToken cancellationToken)
        {
            foreach (Generator generator in _generators)
            {
                generator.Rewind(0);
            }

            foreach (Generator generator in _generators)
            {
                generator.Append(_prompt.AsSpan(0, tokens), cancellationToken);
            }
        }

        public void Step(CancellationToken cancellationToken)
        {
            foreach (Generator generator in _generators)
            {
                generator.Next(cancellationToken);
            }

            // The tokens came out of the pass before; their own is run at once, so that every step has exactly one.
            _batch.Step(cancellationToken);
        }

        public void Dispose() => Array.ForEach(_generators, generator => generator.Dispose());
    }
}
