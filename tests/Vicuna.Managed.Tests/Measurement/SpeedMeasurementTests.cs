using Vicuna.Managed.Kernels.Limits;
using Vicuna.Managed.Measurement;
using Vicuna.Managed.Models;

namespace Vicuna.Managed.Tests.Measurement;

/// <summary>The formulas, with a clock that the test moves.</summary>
public sealed class SpeedMeasurementTests
{
    private const long WeightBytes = 5_000_000_000;

    private static readonly SpeedTestOptions Options = new() { PromptTokens = 100, NewTokens = 20, Repeat = 3 };

    private static readonly ModelConfig Config = new()
    {
        ModelType = "llama",
        HiddenSize = 8,
        IntermediateSize = 24,
        NumHiddenLayers = 3,
        NumAttentionHeads = 4,
        NumKeyValueHeads = 2,
        HeadDim = 2,
        VocabSize = 50,
        MaxPositionEmbeddings = 512,
        RmsNormEps = 1e-5f,
    };

    [Fact]
    public void PrefillOperations_OfASmallShape_AreThoseCountedByHand()
    {
        // Q and O 8x8, K and V 4x8, three of 24x8; a head of 50x8; every pair of positions twice 8 multiplications and additions, half of them masked.
        const double block = (2 * 64) + (2 * 32) + (3 * 192);
        Assert.Equal((3 * 2 * block * 10) + (2 * 400) + (3 * 4 * 10 * 10 / 2 * 8), new PassWork(Config, 0).PrefillOperations(10));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(8)]
    public void Run_WithAKnownClock_GivesTheRatesOfAllSequencesTogether(int count)
    {
        FakeClock clock = new();
        FakeSequences sequences = new(clock, count) { PrefillSeconds = 4, StepSeconds = 0.25 };
        PassWork work = new(Config, WeightBytes);
        (IReadOnlyList<SpeedTestSample> samples, long occupied) = new SpeedMeasurement(sequences, work, Options, clock)
            .Run(_ => new MachineSpeed(40, 200), null, CancellationToken.None);
        Assert.Equal(3, samples.Count);
        Assert.All(samples, sample =>
        {
            Assert.Equal(count * 100 / 4.0, sample.PrefillTokensPerSecond, 1e-9);
            Assert.Equal(count / 0.25, sample.DecodeTokensPerSecond, 1e-9);
            // A pass reads the weights once, however many sequences are in it.
            Assert.Equal(20, sample.WeightGBPerSecond, 1e-9);
            Assert.Equal(0.5, sample.DecodeOverMemoryRead, 1e-9);
            Assert.Equal(count * work.PrefillOperations(100) / 4 / 1e9, sample.PrefillGFlops, 1e-12);
            Assert.Equal(sample.PrefillGFlops / 200, sample.PrefillOverFmaPeak, 1e-12);
        });
        Assert.Equal([100, 100, 100], sequences.Prompts);
        Assert.Equal(60, sequences.Steps);
        Assert.Equal(3000, occupied);
    }

    [Fact]
    public void Run_OnAMachineThatChanges_SetsEachRepetitionAgainstItsOwnLimits()
    {
        FakeClock clock = new();
        FakeSequences sequences = new(clock, 1) { PrefillSeconds = 1, StepSeconds = 0.5 };
        Queue<double> speeds = new([40, 20, 20, 10]);
        List<int> heard = [];
        (IReadOnlyList<SpeedTestSample> samples, _) = new SpeedMeasurement(sequences, new PassWork(Config, WeightBytes), Options, clock)
            .Run(_ => new MachineSpeed(speeds.Dequeue(), 100), new Immediate(heard.Add), CancellationToken.None);
        Assert.Equal([30, 20, 15], samples.Select(sample => sample.MemoryReadGBPerSecond));
        Assert.Equal([1, 2, 3], heard);
        SpeedTestResult result = new()
        {
            Samples = samples,
            Batch = 1,
            Threads = 1,
            PrefillThreads = 1,
            InstructionSet = InstructionSet.Scalar,
            WeightBytesPerPass = 0,
            PeakMemoryBytes = 0,
            MemoryReadBytes = 0,
            AllocatedBytesPerToken = 0,
        };
        Assert.Equal(20, result.MemoryReadGBPerSecond);
        Assert.Equal(0.5, result.DecodeOverMemoryRead);
    }

    [Fact]
    public void Median_OfOddAndEvenCounts_IsTheMiddle()
    {
        Assert.Equal(2, SpeedTestResult.Median([9, 1, 2]));
        Assert.Equal(3, SpeedTestResult.Median([9, 1, 2, 4]));
        Assert.Equal(7, SpeedTestResult.Median([7]));
    }

    [Theory]
    [InlineData(0.001, 500)] // a small model: until the runtime has had time
    [InlineData(0.02, 40)]
    [InlineData(0.2, 12)] // a large one: two seconds
    [InlineData(30, 4)]
    public void WarmUp_OfAModel_LastsAsLongAsItsSpeedAsks(double stepSeconds, int steps)
    {
        FakeClock clock = new();
        FakeSequences sequences = new(clock, 1) { StepSeconds = stepSeconds };
        Assert.Equal(7, new SpeedMeasurement(sequences, new PassWork(Config, WeightBytes), Options, clock).WarmUp(CancellationToken.None));
        Assert.Equal(steps, sequences.Steps);
        Assert.All(sequences.Prompts, tokens => Assert.Equal(16, tokens));
    }

    private sealed class FakeClock : TimeProvider
    {
        private long _ticks;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => _ticks;

        public void Advance(double seconds) => _ticks += (long)(seconds * TimeSpan.TicksPerSecond);
    }

    private sealed class FakeSequences(FakeClock clock, int count) : ISequences
    {
        public double PrefillSeconds { get; init; }

        public double StepSeconds { get; init; }

        public List<int> Prompts { get; } = [];

        public int Steps { get; private set; }

        public int Count => count;

        public long OccupiedBytes => 1000 * Prompts.Count;

        public long AllocatedBytes => 7 * Steps;

        public void Prefill(int tokens, CancellationToken cancellationToken)
        {
            Prompts.Add(tokens);
            clock.Advance(PrefillSeconds);
        }

        public void Step(CancellationToken cancellationToken)
        {
            Steps++;
            clock.Advance(StepSeconds);
        }
    }

    private sealed class Immediate(Action<int> report) : IProgress<int>
    {
        public void Report(int value) => report(value);
    }
}
