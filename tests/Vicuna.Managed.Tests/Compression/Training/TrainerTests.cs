using Vicuna.Managed.Compression;
using Vicuna.Managed.Compression.Training;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.Compression.Training;

public sealed class TrainerTests
{
    // Computed from the formulas by an independent program.
    private const ulong PinnedDropout = 0xFF121BADD835EA66;

    private static readonly int[] PinnedOrder = [5, 1, 4, 2, 6, 7, 3, 0];

    private static readonly TrainingOptions Options = new()
    {
        Epochs = 3,
        BatchSize = 8,
        MicroBatchSize = 3,
        LearningRate = 0.05,
        WarmupSteps = 3,
        ValidationSamples = 5,
        EvaluateEvery = 4,
        CheckpointEvery = 3,
        WeightDecay = 0.01,
    };

    [Fact]
    public void Run_OfALearnableTask_LowersBothLosses()
    {
        using BigramModel model = new();
        TrainingReport report = new Trainer(model, ToyData.Samples(400), Options, "toy", statePath: null).Run(null, CancellationToken.None);
        Assert.Equal(3 * 50, report.Steps);
        Assert.Equal((395, 5), (report.TrainingSamples, report.ValidationSamples));
        Assert.True(report.Losses.TakeLast(10).Average() < report.Losses.Take(10).Average() - 0.5);
        Assert.Equal([0, .. Enumerable.Range(1, 37).Select(i => 4 * i), 150], report.Validations.Select(validation => validation.Step));
        Assert.Equal(report.Validations.MinBy(validation => validation.Loss)!.Step, report.BestStep);
        Assert.True(report.Validations[^1].Loss < report.Validations[0].Loss - 0.5);
        Assert.Equal([0, 0.05 / 3], report.LearningRates.Take(2));
        Assert.Equal((0, false), (report.ResumedAtStep, report.WasFinished));
    }

    [Fact]
    public void Run_Twice_GivesTheSameBitsAndWithAnotherSeedOthers()
    {
        (TrainingReport Report, float[][] Values) Run(long seed)
        {
            using BigramModel model = new(dropout: 0.1);
            return (new Trainer(model, ToyData.Samples(), Options with { Seed = seed }, "toy", statePath: null).Run(null, CancellationToken.None), model.Values());
        }

        Assert.Equal(Run(1).Values, Run(1).Values);
        Assert.Equal(Run(1).Report.Losses, Run(1).Report.Losses);
        Assert.NotEqual(Run(1).Report.Losses, Run(2).Report.Losses);
    }

    [Fact]
    public void Step_OfABatch_IsTheMeanOverAllItsTargets()
    {
        using BigramModel model = new();
        TrainingSample[] data = ToyData.Samples(9);
        int[] micro = [3, 3, 2, 1];
        new Trainer(model, data, Options with { Epochs = 1 }, "toy", statePath: null).Run(null, CancellationToken.None);
        Assert.Equal(micro, model.Calls.Select(call => call.Samples));
        Assert.Equal(4, model.Calls.Select(call => call.DropoutSeed).Distinct().Count());
        int[] order = DataOrder.OfEpoch(9, 0, 0);
        float first = (float)(1.0 / order.Take(8).Sum(i => data[i].TargetCount));
        Assert.Equal([first, first, first, (float)(1.0 / data[order[8]].TargetCount)], model.Calls.Select(call => call.Scale));
    }

    [Fact]
    public void Run_ThatGetsWorse_KeepsTheBestParameters()
    {
        using BigramModel model = new();
        float[][] before = model.Values();
        using TempFolder folder = new();
        TrainingOptions options = Options with { LearningRate = 0.5, Schedule = LearningRateSchedule.Constant, WarmupSteps = 0 };
        TrainingReport report = new Trainer(model, ToyData.Noise(), options, "toy", folder.File("state")).Run(null, CancellationToken.None);
        Assert.Equal(0, report.BestStep);
        Assert.Equal(before, model.Values());

        using BigramModel again = new();
        report = new Trainer(again, ToyData.Noise(), options with { Resume = true }, "toy", folder.File("state")).Run(null, CancellationToken.None);
        Assert.True(report.WasFinished);
        Assert.Equal((report.Steps, 0), (report.ResumedAtStep, report.BestStep));
        Assert.Equal(before, again.Values());
    }

    [Fact]
    public void Run_WithoutValidation_KeepsTheLastParameters()
    {
        using TempFolder folder = new();
        float[][] Values(bool resume)
        {
            using BigramModel model = new();
            TrainingOptions options = Options with { ValidationSamples = 0, Resume = resume };
            TrainingReport report = new Trainer(model, ToyData.Samples(), options, "toy", folder.File("state")).Run(null, CancellationToken.None);
            Assert.Empty(report.Validations);
            Assert.Equal(report.Steps, report.BestStep);
            return model.Values();
        }

        float[][] values = Values(resume: false);
        Assert.NotEqual(values[0], Values(resume: true)[1]);
        Assert.Equal(values, Values(resume: true));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(0.2)]
    public void Run_KilledAtAnyMicroBatchAndResumed_EndsWithTheSameBits(double dropout)
    {
        TrainingSample[] data = ToyData.Samples();
        (TrainingReport whole, float[][] expected) = Train(statePath: null, stop: int.MaxValue, evaluationStop: int.MaxValue, cancels: false);
        byte[]? bytes = null;
        Random random = new(8);
        for (int round = 0; round < 12; round++)
        {
            using TempFolder folder = new();
            string path = folder.File("state");
            int interrupts = 0;
            TrainingReport? report = null;
            float[][] values = [];
            while (report is null)
            {
                try
                {
                    // A kill loses what is not in the file; a cancellation saves first.
                    (report, values) = Train(path, random.Next(1, 40), random.Next(1, 12), cancels: random.Next(2) == 0);
                }
                catch (Exception e) when (e is KilledException or OperationCanceledException)
                {
                    interrupts++;
                    Assert.True(interrupts < 1000);
                }
            }

            Assert.True(interrupts > 0 || round > 0);
            Assert.Equal(expected, values);
            Assert.Equal(whole.Losses, report.Losses);
            Assert.Equal(whole.GradientNorms, report.GradientNorms);
            Assert.Equal(whole.Validations, report.Validations);
            Assert.Equal(whole.BestStep, report.BestStep);
            bytes ??= File.ReadAllBytes(path);
            Assert.Equal(bytes, File.ReadAllBytes(path));
            Assert.Single(Directory.GetFiles(folder.Path));
        }

        (TrainingReport Report, float[][] Values) Train(string? statePath, int stop, int evaluationStop, bool cancels)
        {
            using CancellationTokenSource source = new();
            using BigramModel model = new(dropout: dropout);
            int evaluations = 0;
            void Interrupt(bool due)
            {
                if (due && cancels)
                {
                    source.Cancel();
                }
                else if (due)
                {
                    throw new KilledException();
                }
            }

            model.OnAccumulate = number => Interrupt(number == stop);
            model.OnEvaluate = () => Interrupt(++evaluations == evaluationStop);
            TrainingOptions options = Options with { Resume = true };
            return (new Trainer(model, data, options, "toy", statePath).Run(null, source.Token), model.Values());
        }
    }

    [Fact]
    public void Run_ThatIsCancelled_LosesOnlyTheStepUnderWay()
    {
        using TempFolder folder = new();
        using BigramModel model = new();
        using CancellationTokenSource source = new();
        model.OnAccumulate = number =>
        {
            if (number == 15)
            {
                source.Cancel();
            }
        };
        Trainer trainer = new(model, ToyData.Samples(), Options with { CheckpointEvery = 1000 }, "toy", folder.File("state"));
        Assert.Throws<OperationCanceledException>(() => trainer.Run(null, source.Token));
        using BigramModel again = new();
        TrainingReport report = new Trainer(again, ToyData.Samples(), Options with { Resume = true }, "toy", folder.File("state")).Run(null, CancellationToken.None);
        Assert.Equal(5, report.ResumedAtStep);
    }

    [Fact]
    public void Run_WhoseCheckpointIntervalIsOver_SavesAfterEveryStep()
    {
        using TempFolder folder = new();
        using BigramModel model = new();
        TrainingOptions options = Options with { CheckpointEvery = 1000, CheckpointInterval = TimeSpan.FromTicks(1) };
        model.OnAccumulate = number => _ = number == 15 ? throw new KilledException() : 0;
        Assert.Throws<KilledException>(() => new Trainer(model, ToyData.Samples(), options, "toy", folder.File("state")).Run(null, CancellationToken.None));
        using BigramModel again = new();
        Assert.Equal(5, new Trainer(again, ToyData.Samples(), options with { Resume = true }, "toy", folder.File("state")).Run(null, CancellationToken.None).ResumedAtStep);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Run_WhoseGradientOrLossIsNotANumber_FailsAndLeavesTheStateAlone(bool inGradient)
    {
        using TempFolder folder = new();
        using BigramModel model = new();
        byte[] saved = [];
        model.OnAccumulate = number =>
        {
            if (number == 18)
            {
                saved = File.ReadAllBytes(folder.File("state"));
                (inGradient ? model.Parameters[0].Gradient : model.Parameters[0].Value).Floats(0, model.Parameters[0].Length).Fill(float.NaN);
            }
        };
        Trainer trainer = new(model, ToyData.Samples(), Options, "toy", folder.File("state"));
        TrainingFailedException error = Assert.Throws<TrainingFailedException>(() => trainer.Run(null, CancellationToken.None));
        Assert.Equal(6, error.Step);
        Assert.Equal(!inGradient, double.IsNaN(error.Loss));
        Assert.True(double.IsNaN(error.GradientNorm!.Value));
        Assert.Contains("After 6 steps: expected a finite loss and gradient", error.Message, StringComparison.Ordinal);
        Assert.NotEmpty(saved);
        Assert.Equal(saved, File.ReadAllBytes(folder.File("state")));
    }

    [Fact]
    public void Run_WhoseValidationLossIsNotANumber_Fails()
    {
        using BigramModel model = new();
        model.OnEvaluate = () => model.Parameters[0].Value.Floats(0, model.Parameters[0].Length).Fill(float.NaN);
        Trainer trainer = new(model, ToyData.Samples(), Options, "toy", statePath: null);
        TrainingFailedException error = Assert.Throws<TrainingFailedException>(() => trainer.Run(null, CancellationToken.None));
        Assert.Equal((0, null), (error.Step, error.GradientNorm));
        Assert.Contains("held-out", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Run_WithAStateThatIsNotToBeResumed_RefusesIt()
    {
        using TempFolder folder = new();
        using BigramModel model = new();
        new Trainer(model, ToyData.Samples(), Options, "toy", folder.File("state")).Run(null, CancellationToken.None);
        byte[] saved = File.ReadAllBytes(folder.File("state"));
        IOException error = Assert.Throws<IOException>(() => new Trainer(model, ToyData.Samples(), Options, "toy", folder.File("state")).Run(null, CancellationToken.None));
        Assert.Contains(folder.File("state"), error.Message, StringComparison.Ordinal);
        Assert.Equal(saved, File.ReadAllBytes(folder.File("state")));
    }

    [Fact]
    public void Progress_OfARun_TellsEveryStepAndMeasurement()
    {
        using BigramModel model = new();
        List<TrainingProgress> heard = [];
        Trainer trainer = new(model, ToyData.Samples(), Options, "toy", statePath: null);
        TrainingReport report = trainer.Run(new Listener(heard), CancellationToken.None);
        TrainingProgress[] steps = [.. heard.Where(progress => progress.Stage == TrainingStage.Step)];
        Assert.Equal(Enumerable.Range(1, report.Steps), steps.Select(progress => progress.Step));
        Assert.Equal(report.Losses, steps.Select(progress => progress.Loss));
        Assert.Equal(report.LearningRates, steps.Select(progress => progress.LearningRate));
        Assert.Equal(report.GradientNorms, steps.Select(progress => progress.GradientNorm));
        Assert.All(steps, progress => Assert.True(progress.TokensPerSecond > 0 && progress.Steps == report.Steps && progress.ValidationTotal == 0));
        Assert.Equal([1, 1, 1, 1, 1, 1, 1, 2], steps.Take(8).Select(progress => progress.Epoch));
        Assert.Equal(TimeSpan.Zero, heard[^1].TimeLeft);
        Assert.True(steps[0].TimeLeft > TimeSpan.Zero);
        TrainingProgress[] measured = [.. heard.Where(progress => progress.ValidationLoss is not null)];
        Assert.Equal(report.Validations, measured.Select(progress => new ValidationLoss(progress.Step, progress.ValidationLoss!.Value)));
        Assert.Equal([3, 5], heard.Take(2).Select(progress => progress.ValidationDone));
    }

    [Theory]
    [MemberData(nameof(WrongOptions))]
    public void Options_OutOfRange_AreRefused(TrainingOptions options, string name)
    {
        using BigramModel model = new();
        ArgumentOutOfRangeException error = Assert.Throws<ArgumentOutOfRangeException>(() => new Trainer(model, ToyData.Samples(), options, "toy", statePath: null));
        Assert.StartsWith($"{name}: expected ", error.Message, StringComparison.Ordinal);
    }

    public static TheoryData<TrainingOptions, string> WrongOptions() => new()
    {
        { new TrainingOptions { Epochs = 0 }, "Epochs" },
        { new TrainingOptions { LearningRate = 0 }, "LearningRate" },
        { new TrainingOptions { LearningRate = double.NaN }, "LearningRate" },
        { new TrainingOptions { Schedule = (LearningRateSchedule)9 }, "Schedule" },
        { new TrainingOptions { WarmupSteps = -1 }, "WarmupSteps" },
        { new TrainingOptions { BatchSize = 0 }, "BatchSize" },
        { new TrainingOptions { MicroBatchSize = 0 }, "MicroBatchSize" },
        { new TrainingOptions { ClipNorm = -1 }, "ClipNorm" },
        { new TrainingOptions { Beta1 = 1 }, "Beta1" },
        { new TrainingOptions { Beta2 = double.NaN }, "Beta2" },
        { new TrainingOptions { Epsilon = 0 }, "Epsilon" },
        { new TrainingOptions { WeightDecay = double.PositiveInfinity }, "WeightDecay" },
        { new TrainingOptions { ValidationSamples = -1 }, "ValidationSamples" },
        { new TrainingOptions { EvaluateEvery = 0 }, "EvaluateEvery" },
        { new TrainingOptions { CheckpointEvery = 0 }, "CheckpointEvery" },
        { new TrainingOptions { CheckpointInterval = TimeSpan.Zero }, "CheckpointInterval" },
        { new HealOptions { Rank = 0 }, "Rank" },
        { new HealOptions { Alpha = 0 }, "Alpha" },
        { new HealOptions { Dropout = 1 }, "Dropout" },
        { new HealOptions { TargetModules = [] }, "TargetModules" },
        { new HealOptions { TargetModules = ["q_proj", "q_proj"] }, "TargetModules" },
        { new HealOptions { TargetModules = ["lm_head"] }, "TargetModules" },
    };

    [Fact]
    public void DataOrder_OfASeed_IsAlwaysTheSame()
    {
        // These numbers must never change: saved trainings of earlier versions depend on them.
        Assert.Equal(PinnedOrder, DataOrder.OfEpoch(8, seed: 42, epoch: 1));
        Assert.Equal(PinnedDropout, DataOrder.DropoutSeed(seed: 42, step: 7, microBatch: 3));
    }

    [Fact]
    public void DataOrder_OfAnEpoch_HoldsEverySampleOnce()
    {
        Assert.Equal(Enumerable.Range(0, 1000), DataOrder.OfEpoch(1000, 1, 0).Order());
        Assert.NotEqual(DataOrder.OfEpoch(1000, 1, 0), DataOrder.OfEpoch(1000, 1, 1));
        Assert.NotEqual(DataOrder.OfEpoch(1000, 1, 0), DataOrder.OfEpoch(1000, 2, 0));
        int[] firsts = [.. Enumerable.Range(0, 4000).Select(epoch => DataOrder.OfEpoch(4, 3, epoch)[0])];
        Assert.All(firsts.CountBy(first => first), count => Assert.InRange(count.Value, 900, 1100));
        (int[] training, int[] validation) = DataOrder.Split(100, 10, 4);
        Assert.Equal(Enumerable.Range(0, 100), training.Concat(validation).Order());
        Assert.Equal(validation.Order(), validation);
        Assert.Equal(10, validation.Length);
        Assert.NotEqual(validation, DataOrder.Split(100, 10, 5).Validation);
    }

    private sealed class KilledException : Exception;

    private sealed class Listener(List<TrainingProgress> heard) : IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value) => heard.Add(value);
    }
}
