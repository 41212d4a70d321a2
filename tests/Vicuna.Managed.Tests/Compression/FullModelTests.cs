using Vicuna.Managed.Compression;
using Vicuna.Managed.Compression.Backprop;
using Vicuna.Managed.Compression.Training;
using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Models;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.Compression;

/// <summary>The gradient of every kind of weight, against differences of the loss.</summary>
public sealed class FullModelTests
{
    public static TheoryData<string, InstructionSet> Shapes()
    {
        TheoryData<string, InstructionSet> data = [];
        foreach (InstructionSet set in Tiers.Supported)
        {
            data.Add("grouped", set);
            data.Add("tied", set);
            data.Add("window", set);
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Gradient_OfEveryTensor_IsTheSlopeOfTheLoss(string shape, InstructionSet set)
    {
        using FullModel model = new(Config(shape), Enum.Parse<IsaTier>(set.ToString()), 2, seed: 5);
        // Weights of 0.02 give slopes that drown in rounding.
        foreach (TrainableParameter parameter in model.Parameters.Where(parameter => parameter.Shape.Count == 2))
        {
            System.Numerics.Tensors.TensorPrimitives.Multiply(parameter.Value.Floats(0, parameter.Length), 12f, parameter.Value.Floats(0, parameter.Length));
        }

        TrainingSample[] samples =
        [
            new([1, 5, 9, 3, 7, 5, 2, 30, 11], promptTokens: 3),
            new([1, 8, 8, 21, 4], promptTokens: 1),
            new([.. Enumerable.Range(0, 120).Select(i => ((i * 7) + (i / 3)) % 37)], promptTokens: 1),
        ];
        double loss = model.Accumulate(samples, 1, 0, CancellationToken.None);
        Assert.Equal(loss, model.Evaluate(samples, CancellationToken.None), 1e-9 * loss);
        foreach (TrainableParameter parameter in model.Parameters)
        {
            float[] gradient = parameter.Gradient.Floats(0, parameter.Length).ToArray();
            // Along the gradient itself: every element takes part, and the slope is its length.
            double length = Math.Sqrt(gradient.Sum(g => (double)g * g));
            Assert.True(length > 1e-3, parameter.Name);
            double step = 2e-3 * Math.Sqrt(parameter.Length) / Math.Max(1, Math.Sqrt(parameter.Length) / 8);
            double up = At(model, parameter, gradient, step / length, samples);
            double down = At(model, parameter, gradient, -step / length, samples);
            Assert.Equal(1, (up - down) / (2 * step) / length, 0.02);
        }
    }

    private static double At(FullModel model, TrainableParameter parameter, float[] direction, double distance, TrainingSample[] samples)
    {
        float[] before = parameter.Value.Floats(0, parameter.Length).ToArray();
        Span<float> values = parameter.Value.Floats(0, parameter.Length);
        for (int i = 0; i < values.Length; i++)
        {
            values[i] += (float)(distance * direction[i]);
        }

        double loss = model.Evaluate(samples, CancellationToken.None);
        before.CopyTo(values);
        return loss;
    }

    private static ModelConfig Config(string shape) => new()
    {
        ModelType = "llama",
        HiddenSize = 24,
        IntermediateSize = 37,
        NumHiddenLayers = 2,
        NumAttentionHeads = 4,
        NumKeyValueHeads = shape == "grouped" ? 2 : 4,
        HeadDim = 6,
        VocabSize = 37,
        MaxPositionEmbeddings = 128,
        RmsNormEps = 1e-5f,
        TieWordEmbeddings = shape == "tied",
        SlidingWindow = shape == "window" ? 5 : null,
    };
}
