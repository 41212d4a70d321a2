using Vicuna.Managed.Compression;
using Vicuna.Managed.Compression.Training;

namespace Vicuna.Managed.Tests.Compression.Training;

public sealed class AdamWTests
{
    private static readonly TrainingOptions Options = new() { WeightDecay = 0.1, LearningRate = 0.01 };

    [Theory]
    [InlineData(1, false)]
    [InlineData(1, true)]
    [InlineData(1023, true)]
    [InlineData(1024, false)]
    [InlineData(2500, true)]
    public void Update_OfManySteps_IsThatOfAPlainTwinInDouble(int length, bool decays)
    {
        Random random = new(1);
        float[] value = [.. Enumerable.Range(0, length).Select(_ => (float)(random.NextDouble() - 0.5))];
        double[] twin = [.. value.Select(x => (double)x)];
        float[] mean = new float[length];
        float[] square = new float[length];
        double[] m = new double[length];
        double[] v = new double[length];
        AdamW optimizer = new(Options);
        for (int step = 0; step < 50; step++)
        {
            double rate = 0.01 / (step + 1);
            double clip = step % 3 == 0 ? 0.25 : 1;
            float[] gradient = [.. Enumerable.Range(0, length).Select(_ => (float)((random.NextDouble() - 0.3) * Math.Pow(10, random.Next(-6, 3))))];
            optimizer.Update(value, gradient, mean, square, step, rate, clip, decays);
            for (int i = 0; i < length; i++)
            {
                double g = gradient[i] * clip;
                m[i] = (0.9 * m[i]) + (0.1 * g);
                v[i] = (0.999 * v[i]) + (0.001 * g * g);
                double unbiasedMean = m[i] / (1 - Math.Pow(0.9, step + 1));
                double unbiasedSquare = v[i] / (1 - Math.Pow(0.999, step + 1));
                twin[i] -= rate * (decays ? 0.1 : 0) * twin[i];
                twin[i] -= rate * unbiasedMean / (Math.Sqrt(unbiasedSquare) + 1e-8);
            }
        }

        Assert.All(value.Zip(twin), pair => Assert.Equal(pair.Second, pair.First, 5e-7));
        Assert.All(mean.Zip(m), pair => Assert.Equal(pair.Second, pair.First, 1e-5 * Math.Max(1, Math.Abs(pair.Second))));
    }

    [Fact]
    public void Update_OfAnElement_DoesNotDependOnItsNeighbors()
    {
        Random random = new(2);
        float[] gradient = [.. Enumerable.Range(0, 1500).Select(_ => (float)(random.NextDouble() - 0.5))];
        float[] together = Run(gradient);
        for (int i = 0; i < gradient.Length; i += 7)
        {
            Assert.Equal(BitConverter.SingleToInt32Bits(Run([gradient[i]])[0]), BitConverter.SingleToInt32Bits(together[i]));
        }

        static float[] Run(float[] gradient)
        {
            float[] value = [.. gradient.Select(g => g * 3)];
            float[] mean = new float[value.Length];
            float[] square = new float[value.Length];
            AdamW optimizer = new(Options);
            for (int step = 0; step < 5; step++)
            {
                optimizer.Update(value, gradient, mean, square, step, 0.01, 0.7, decays: true);
            }

            return value;
        }
    }

    [Fact]
    public void Update_WithoutDecay_LeavesAValueWithoutGradientAlone()
    {
        float[] value = [1.5f, -2f];
        new AdamW(Options).Update(value, [0, 0], new float[2], new float[2], 0, 0.5, 1, decays: false);
        Assert.Equal([1.5f, -2f], value);
        new AdamW(Options).Update(value, [0, 0], new float[2], new float[2], 0, 0.5, 1, decays: true);
        Assert.Equal([1.5f * 0.95f, -2f * 0.95f], value);
    }

    [Theory]
    [InlineData(3)]
    [InlineData(8)]
    [InlineData(1001)]
    public void GradientNorm_OfSeveralParameters_IsThatOfOneVector(int length)
    {
        using TrainableParameter first = new("a", length);
        using TrainableParameter second = new("b", 2, 3);
        Random random = new(4);
        double sum = 0;
        foreach (TrainableParameter parameter in new[] { first, second })
        {
            foreach (ref float value in parameter.Gradient.Floats(0, parameter.Length))
            {
                value = (float)(random.NextDouble() - 0.5);
                sum += (double)value * value;
            }
        }

        Assert.Equal(Math.Sqrt(sum), GradientNorm.Of([first, second]), 1e-12);
        first.Gradient.Floats(0, 1)[0] = float.NaN;
        Assert.True(double.IsNaN(GradientNorm.Of([first, second])));
        first.Gradient.Floats(0, 1)[0] = float.NegativeInfinity;
        Assert.Equal(double.PositiveInfinity, GradientNorm.Of([first, second]));
    }

    [Theory]
    [InlineData(0.5, 1, 1)]
    [InlineData(4, 1, 0.25)]
    [InlineData(4, 0, 1)]
    [InlineData(0, 1, 1)]
    public void ClipFactor_OfANorm_ShortensOnlyWhatIsTooLong(double norm, double clip, double factor) =>
        Assert.Equal(factor, GradientNorm.ClipFactor(norm, clip), 1e-6);
}
