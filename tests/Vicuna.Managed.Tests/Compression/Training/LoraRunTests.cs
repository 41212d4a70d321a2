using Vicuna.Managed.Adapters;
using Vicuna.Managed.Compression;
using Vicuna.Managed.Compression.Training;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.Compression.Training;

public sealed class LoraRunTests
{
    private static readonly HealOptions Options = new()
    {
        Rank = 4,
        Alpha = 8,
        BatchSize = 8,
        LearningRate = 0.05,
        WarmupSteps = 2,
        EvaluateEvery = 5,
        TargetModules = ["up_proj"],
    };

    private static readonly string[] AdapterFiles = ["adapter_config.json", "adapter_model.safetensors"];

    [Fact]
    public void Train_ToItsEnd_WritesTheBestAdapterAndAFinishedState()
    {
        using TempFolder folder = new();
        using BigramModel model = new();
        TrainingReport report = Train(model, folder.Path, Options);
        PeftAdapter adapter = PeftAdapterFile.Read(folder.Path);
        LoraPair pair = Assert.Single(adapter.Pairs);
        Assert.Equal((0, "mlp.up_proj", 4), (pair.Layer, pair.Projection, pair.Rank));
        Assert.Equal(model.Values(), [pair.A, pair.B]);
        Assert.Equal((4, 8.0, 0.05, "base"), (adapter.Config.Rank, adapter.Config.Alpha, adapter.Config.Dropout, adapter.Config.BaseModel));
        Assert.Equal(["up_proj"], adapter.Config.TargetModules);
        Assert.False(report.WasFinished);

        byte[][] bytes = [.. AdapterFiles.Select(file => File.ReadAllBytes(folder.File(file)))];
        File.Delete(folder.File(AdapterFiles[0]));
        using BigramModel again = new();
        TrainingReport resumed = Train(again, folder.Path, Options with { Resume = true });
        Assert.True(resumed.WasFinished);
        Assert.Equal(report.Losses, resumed.Losses);
        Assert.Equal(report.BestStep, resumed.BestStep);
        Assert.Equal(bytes, [.. AdapterFiles.Select(file => File.ReadAllBytes(folder.File(file)))]);
    }

    [Fact]
    public void Train_InterruptedAndResumed_WritesTheSameBytes()
    {
        using TempFolder whole = new();
        using BigramModel first = new(dropout: 0.05);
        Train(first, whole.Path, Options);
        using TempFolder broken = new();
        using BigramModel second = new(dropout: 0.05);
        using CancellationTokenSource source = new();
        second.OnAccumulate = number =>
        {
            if (number == 9)
            {
                source.Cancel();
            }
        };
        Assert.Throws<OperationCanceledException>(() => Train(second, broken.Path, Options, source.Token));
        Assert.False(File.Exists(broken.File(AdapterFiles[0])));
        using BigramModel third = new(dropout: 0.05);
        TrainingReport report = Train(third, broken.Path, Options with { Resume = true });
        Assert.Equal(4, report.ResumedAtStep);
        Assert.All(AdapterFiles, file => Assert.Equal(File.ReadAllBytes(whole.File(file)), File.ReadAllBytes(broken.File(file))));
    }

    [Fact]
    public void Train_InAFolderWithAnAdapterOrATraining_RefusesIt()
    {
        using TempFolder folder = new();
        using BigramModel model = new();
        folder.Write(AdapterFiles[0], "{}");
        Assert.Contains("found adapter_config.json", Assert.Throws<IOException>(() => Train(model, folder.Path, Options)).Message, StringComparison.Ordinal);
        Assert.Contains("found adapter_config.json", Assert.Throws<IOException>(() => Train(model, folder.Path, Options with { Resume = true })).Message, StringComparison.Ordinal);
        Assert.Equal("{}", File.ReadAllText(folder.File(AdapterFiles[0])));
        File.Delete(folder.File(AdapterFiles[0]));
        Directory.CreateDirectory(folder.File("checkpoint"));
        File.WriteAllText(folder.File("checkpoint/state.safetensors"), "x");
        Assert.Contains("a training was begun here", Assert.Throws<IOException>(() => Train(model, folder.Path, Options)).Message, StringComparison.Ordinal);
        Assert.Throws<ModelFormatException>(() => Train(model, folder.Path, Options with { Resume = true }));
    }

    [Fact]
    public void Train_ResumedWithOtherOptions_SaysWhich()
    {
        using TempFolder folder = new();
        using BigramModel model = new();
        Train(model, folder.Path, Options);
        foreach ((HealOptions options, string key) in new[]
        {
            (Options with { Rank = 5 }, "rank"), (Options with { LearningRate = 0.06 }, "learning rate"), (Options with { Seed = 1 }, "seed"),
            (Options with { BatchSize = 9 }, "batch size"), (Options with { Dropout = 0 }, "dropout"),
        })
        {
            using BigramModel again = new();
            ModelFormatException error = Assert.Throws<ModelFormatException>(() => Train(again, folder.Path, options with { Resume = true }));
            Assert.Equal(key, error.Item);
        }

        using BigramModel other = new();
        ModelFormatException data = Assert.Throws<ModelFormatException>(() => LoraRun.Train(
            other, "identity", "base", ToyData.Samples(61), folder.Path, Options with { Resume = true }, null, CancellationToken.None));
        Assert.Equal("data", data.Item);
        data = Assert.Throws<ModelFormatException>(() => LoraRun.Train(
            other, "another", "base", ToyData.Samples(), folder.Path, Options with { Resume = true }, null, CancellationToken.None));
        Assert.Equal("model", data.Item);
    }

    private static TrainingReport Train(BigramModel model, string folder, HealOptions options, CancellationToken cancellationToken = default) =>
        LoraRun.Train(model, "identity", "base", ToyData.Samples(), folder, options, progress: null, cancellationToken);
}
