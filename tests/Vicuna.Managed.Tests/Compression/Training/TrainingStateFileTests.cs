using Vicuna.Managed.Compression;
using Vicuna.Managed.Compression.Training;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Tests.Fuzz;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.Compression.Training;

public sealed class TrainingStateFileTests
{
    [Fact]
    public void Read_OfAWrittenState_BringsItBack()
    {
        byte[] bytes = TrainingStateTarget.Bytes(finished: false);
        using BigramModel model = TrainingStateTarget.Model();
        using TrainingState state = new(model.Parameters);
        Read(bytes, model, state);
        Assert.Equal([2.5, 2.25], state.Losses);
        Assert.Equal([1, 0.5], state.GradientNorms);
        Assert.Equal([new ValidationLoss(0, 3), new ValidationLoss(2, 2)], state.Validations);
        Assert.Equal((2, 2, false), (state.Step, state.BestStep, state.IsFinished));
        Assert.Equal(0.75f, model.Parameters[0].Value.Floats(0, 1)[0]);
        Assert.Equal(0.5f, state.Means[1].Floats(1, 1)[0]);
        Assert.Equal(0.25f, state.Squares[0].Floats(1, 1)[0]);
        Assert.Equal(0.75f, state.Best[0].Floats(0, 1)[0]);
    }

    [Fact]
    public void Read_WithAnyByteChanged_RefusesItAndChangesNothing()
    {
        foreach (bool finished in new[] { false, true })
        {
            byte[] bytes = TrainingStateTarget.Bytes(finished);
            using BigramModel model = TrainingStateTarget.Model();
            float[][] before = model.Values();
            using TrainingState state = new(model.Parameters);
            for (int i = 0; i < bytes.Length; i++)
            {
                byte[] damaged = [.. bytes];
                damaged[i] ^= (byte)(1 << (i % 8));
                try
                {
                    Read(damaged, model, state);
                }
                catch (ModelFormatException)
                {
                    continue;
                }

                Assert.Fail($"byte {i} of {bytes.Length} ('{(char)bytes[i]}' became '{(char)damaged[i]}') was not missed");
            }

            Assert.Equal(before, model.Values());
            Assert.Equal(0, state.Step);
        }
    }

    [Fact]
    public void Read_OfEveryCutFile_RefusesIt()
    {
        byte[] bytes = TrainingStateTarget.Bytes(finished: false);
        using BigramModel model = TrainingStateTarget.Model();
        using TrainingState state = new(model.Parameters);
        for (int length = 0; length < bytes.Length; length++)
        {
            Assert.Throws<ModelFormatException>(() => Read(bytes[..length], model, state));
        }
    }

    [Theory]
    [InlineData("learning rate", "0.001")]
    [InlineData("data", "other")]
    [InlineData("model", null)]
    [InlineData("new", "1")]
    public void Read_WithOtherSettings_NamesTheOne(string key, string? value)
    {
        SortedDictionary<string, string> settings = TrainingStateTarget.Settings();
        if (value is null)
        {
            settings.Remove(key);
        }
        else
        {
            settings[key] = value;
        }

        using BigramModel model = TrainingStateTarget.Model();
        using TrainingState state = new(model.Parameters);
        using AlignedBuffer file = Block(TrainingStateTarget.Bytes(finished: false));
        ModelFormatException error = Assert.Throws<ModelFormatException>(() => TrainingStateFile.Read(file.Region, "state", model.Parameters, state, settings, 4));
        Assert.Equal(key, error.Item);
        Assert.StartsWith($"state: '{key}': expected", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Read_OfAnotherModelsState_NamesTheTensor()
    {
        using BigramModel model = new(vocabulary: 3, rank: 1);
        using TrainingState state = new(model.Parameters);
        using AlignedBuffer file = Block(TrainingStateTarget.Bytes(finished: false));
        ModelFormatException error = Assert.Throws<ModelFormatException>(
            () => TrainingStateFile.Read(file.Region, "state", model.Parameters, state, TrainingStateTarget.Settings(), 4));
        Assert.Contains("best.base_model.model.model.layers.0.mlp.up_proj.lora_A.weight", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Read_OfAnotherFile_SaysWhatItExpected()
    {
        using BigramModel model = TrainingStateTarget.Model();
        using TrainingState state = new(model.Parameters);
        ModelFormatException error = Assert.Throws<ModelFormatException>(
            () => Read(File.ReadAllBytes(Path.Combine(PicoVicuna.Folder, "model.safetensors")), model, state));
        Assert.Contains("expected a training's state", error.Message, StringComparison.Ordinal);
    }

    private static void Read(byte[] bytes, BigramModel model, TrainingState state)
    {
        using AlignedBuffer file = Block(bytes);
        TrainingStateFile.Read(file.Region, "state", model.Parameters, state, TrainingStateTarget.Settings(), steps: 4);
    }

    private static AlignedBuffer Block(byte[] bytes)
    {
        AlignedBuffer block = AlignedBuffer.Allocate(bytes.Length);
        bytes.CopyTo(block.Writable(0, bytes.Length));
        return block;
    }
}
