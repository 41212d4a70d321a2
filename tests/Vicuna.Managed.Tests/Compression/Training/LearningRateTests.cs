using System.Text.Json;
using Vicuna.Managed.Compression;
using Vicuna.Managed.Compression.Training;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.Compression.Training;

public sealed class LearningRateTests
{
    [Fact]
    public void Linear_IsThatOfTheGolden()
    {
        using JsonDocument golden = JsonDocument.Parse(File.ReadAllBytes(SharedFolder.Require("goldens/lora.json")));
        JsonElement run = golden.RootElement;
        TrainingOptions options = new() { LearningRate = run.GetProperty("learning_rate").GetDouble(), WarmupSteps = run.GetProperty("warmup_steps").GetInt32() };
        int steps = run.GetProperty("steps").GetInt32();
        Assert.Equal(steps, run.GetProperty("log").GetArrayLength());
        foreach (JsonElement step in run.GetProperty("log").EnumerateArray())
        {
            Assert.Equal(step.GetProperty("learning_rate").GetDouble(), LearningRate.At(options, step.GetProperty("step").GetInt32(), steps), 1e-15);
        }
    }

    [Theory]
    [InlineData(LearningRateSchedule.Linear, 0.5, 0.1)]
    [InlineData(LearningRateSchedule.Cosine, 0.5, 0.0244717418524232)]
    [InlineData(LearningRateSchedule.Constant, 1, 1)]
    public void Schedule_AfterTheWarmUp_FallsAsItIsCalled(LearningRateSchedule schedule, double half, double last)
    {
        TrainingOptions options = new() { LearningRate = 1, WarmupSteps = 10, Schedule = schedule };
        Assert.Equal(0, LearningRate.At(options, 0, 20));
        Assert.Equal(0.9, LearningRate.At(options, 9, 20), 1e-15);
        Assert.Equal(1, LearningRate.At(options, 10, 20), 1e-15);
        Assert.Equal(half, LearningRate.At(options, 15, 20), 1e-12);
        Assert.Equal(last, LearningRate.At(options, 19, 20), 1e-12);
    }

    [Fact]
    public void Linear_WithoutWarmUpOrWithMoreOfItThanSteps_StaysInRange()
    {
        Assert.Equal(1e-4, LearningRate.At(new TrainingOptions { WarmupSteps = 0 }, 0, 1));
        Assert.Equal(0.5e-4, LearningRate.At(new TrainingOptions { WarmupSteps = 0 }, 1, 2));
        Assert.Equal(0.09e-4, LearningRate.At(new TrainingOptions { WarmupSteps = 100 }, 9, 10), 1e-18);
    }
}
