using Vicuna.Managed.Compression;
using Vicuna.Managed.Compression.Training;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Tests.Compression.Training;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.Fuzz;

/// <summary>Fuzzes <see cref="TrainingStateFile"/>: what is refused changes nothing.</summary>
internal static class TrainingStateTarget
{
    public static string Name => "training-state";

    public static IReadOnlyList<byte[]> Seeds() => [Bytes(finished: false), Bytes(finished: true), "{}      "u8.ToArray(), []];

    public static void Run(byte[] input)
    {
        using BigramModel model = Model();
        using TrainingState state = new(model.Parameters);
        float[][] before = model.Values();
        using AlignedBuffer file = AlignedBuffer.Allocate(input.Length);
        input.CopyTo(file.Writable(0, input.Length));
        try
        {
            TrainingStateFile.Read(file.Region, "fuzz", model.Parameters, state, Settings(), steps: 4);
            Assert.True(state.Step <= 4 && state.BestStep <= state.Step);
        }
        catch (ModelFormatException)
        {
            Assert.Equal(before, model.Values());
            Assert.Equal((0, -1), (state.Step, state.BestStep));
            throw;
        }
    }

    /// <summary>A small model.</summary>
    public static BigramModel Model() => new(vocabulary: 2, rank: 1);

    /// <summary>What its training is known by.</summary>
    public static SortedDictionary<string, string> Settings() => new(StringComparer.Ordinal) { ["data"] = "d", ["learning rate"] = "0.1", ["model"] = "toy" };

    /// <summary>A state's file.</summary>
    public static byte[] Bytes(bool finished)
    {
        using TempFolder folder = new();
        using BigramModel model = Model();
        using TrainingState state = new(model.Parameters);
        state.Losses.AddRange(finished ? [2.5, 2.25, 2, 1.75] : [2.5, 2.25]);
        state.GradientNorms.AddRange(finished ? [1, 0.5, 0.25, 0.125] : [1, 0.5]);
        state.Note(new ValidationLoss(0, 3));
        model.Parameters[0].Value.Floats(0, 1)[0] = 0.75f;
        state.Note(new ValidationLoss(2, 2));
        state.Means[1].Floats(1, 1)[0] = 0.5f;
        state.Squares[0].Floats(1, 1)[0] = 0.25f;
        state.IsFinished = finished;
        TrainingStateFile.Write(folder.File("state"), model.Parameters, state, Settings());
        return File.ReadAllBytes(folder.File("state"));
    }
}
