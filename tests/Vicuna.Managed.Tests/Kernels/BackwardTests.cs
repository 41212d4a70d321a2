using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Kernels.Ops;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.Kernels;

/// <summary>Every operation's gradient against differences of the same operation in f64, at lengths that vectors do not divide, in every tier.</summary>
public sealed class BackwardTests
{
    private const double Step = 1e-5;

    [Theory]
    [MemberData(nameof(Tiers.All), MemberType = typeof(Tiers))]
    public void RmsNorm_OfEveryWidth_HasTheSlopesOfTheFormula(InstructionSet set)
    {
        Operations operations = Operations.For(Enum.Parse<IsaTier>(set.ToString()));
        foreach (int width in (int[])[1, 7, 16, 33, 130])
        {
            float[] x = Random(2 * width, width);
            float[] gain = Random(width, width + 1);
            float[] dy = Random(2 * width, width + 2);
            float[] dx = new float[2 * width];
            float[] scales = new float[2];
            operations.RmsNormBackward(x, gain, 1e-3f, dy, dx, scales, new float[width]);
            float[] dg = new float[width];
            RmsNorm.GainBackward(x, dy, scales, 0, dg, new float[width]);
            Slopes(x, v => Norm(v, Doubles(gain), dy), dx, 1e-4);
            Slopes(gain, v => Norm(Doubles(x), v, dy), dg, 1e-4);
        }
    }

    [Theory]
    [MemberData(nameof(Tiers.All), MemberType = typeof(Tiers))]
    public void SwiGlu_OfEveryLength_HasTheSlopesOfTheFormula(InstructionSet set)
    {
        Operations operations = Operations.For(Enum.Parse<IsaTier>(set.ToString()));
        foreach (int length in (int[])[1, 8, 15, 16, 31, 100])
        {
            float[] gate = Random(length, 1, 6);
            float[] up = Random(length, 2, 3);
            float[] dy = Random(length, 3);
            float[] gateGradient = [.. gate];
            float[] upGradient = [.. up];
            operations.SwiGluBackward(gateGradient, upGradient, [.. dy]);
            Slopes(gate, v => v.Select((g, i) => SwiGlu.Reference(g, up[i]) * dy[i]).Sum(), gateGradient, 1e-4);
            Slopes(up, v => v.Select((u, i) => SwiGlu.Reference(gate[i], u) * dy[i]).Sum(), upGradient, 1e-4);
        }
    }

    [Fact]
    public void CrossEntropy_OfLargeLogits_HasTheSlopesOfTheFormula()
    {
        float[] logits = [.. Random(37, 1, 5).Select(x => x + 500)];
        float[] gradient = [.. logits];
        double loss = CrossEntropy.Backward(gradient, 11, 0.5f);
        Assert.Equal(Loss(Doubles(logits)), loss, 1e-5);
        Assert.Equal(loss, CrossEntropy.Forward([.. logits], 11));
        Slopes(logits, v => 0.5 * Loss(v), gradient, 1e-4);

        static double Loss(double[] v) => Math.Log(v.Sum(x => Math.Exp(x - v.Max()))) + v.Max() - v[11];
    }

    [Theory]
    [MemberData(nameof(Tiers.All), MemberType = typeof(Tiers))]
    public void Attention_OfAWholeSequence_HasTheSlopesOfTheFormula(InstructionSet set)
    {
        Operations operations = Operations.For(Enum.Parse<IsaTier>(set.ToString()));
        foreach ((int length, int window) in (ReadOnlySpan<(int, int)>)[(1, int.MaxValue), (5, int.MaxValue), (99, 7), (100, int.MaxValue)])
        {
            const int d = 6;
            const int stride = 14; // the head is a part of longer rows
            float[] q = Random(length * stride, 1, 2);
            float[] k = Random(length * stride, 2, 2);
            float[] v = Random(length * stride, 3, 2);
            float[] dy = Random(length * stride, 4);
            float[] output = new float[length * stride];
            float[][] gradients = [new float[length * stride], new float[length * stride], new float[length * stride]];
            float[] scratch = new float[SequenceAttention.ScratchElements(length, d)];
            operations.AttendSequence(Head(), output, scratch);
            operations.AttendSequenceBackward(Head(), dy, gradients[0], gradients[1], gradients[2], scratch);

            double[] expected = Attend(Doubles(q), Doubles(k), Doubles(v), length, d, stride, window);
            for (int i = 0; i < expected.Length; i++)
            {
                Assert.Equal(expected[i], output[i], 1e-5);
            }

            double Of(double[] a, double[] b, double[] c) => Attend(a, b, c, length, d, stride, window).Select((o, i) => o * dy[i]).Sum();
            int every = length > 50 ? 37 : 1;
            Slopes(q, x => Of(x, Doubles(k), Doubles(v)), gradients[0], 1e-3, every);
            Slopes(k, x => Of(Doubles(q), x, Doubles(v)), gradients[1], 1e-3, every);
            Slopes(v, x => Of(Doubles(q), Doubles(k), x), gradients[2], 1e-3, every);

            SequenceHead Head() => new()
            {
                Queries = q, Keys = k, Values = v, QueryStride = stride, KeyStride = stride, Length = length, HeadDim = d, Scale = 0.4f, Window = window,
            };
        }
    }

    [Fact]
    public void Dropout_OfARate_KeepsItsShareAndTheMean()
    {
        float[] ones = [.. Enumerable.Repeat(1f, 100_000)];
        float[] dropped = new float[ones.Length];
        Dropout.Apply(ones, dropped, 5, 0, 0.25);
        Assert.InRange(dropped.Count(x => x == 0) / 1e5, 0.24, 0.26);
        Assert.All(dropped, x => Assert.True(x is 0 or (float)(1 / 0.75)));
        float[] part = new float[10];
        Dropout.Apply(ones.AsSpan(0, 10), part, 5, 700, 0.25);
        Assert.Equal(dropped[700..710], part);
    }

    private static double Norm(double[] x, double[] gain, float[] dy)
    {
        double sum = 0;
        for (int row = 0; row < x.Length; row += gain.Length)
        {
            double mean = x.Skip(row).Take(gain.Length).Sum(v => v * v) / gain.Length;
            for (int i = 0; i < gain.Length; i++)
            {
                sum += x[row + i] / Math.Sqrt(mean + 1e-3f) * gain[i] * dy[row + i];
            }
        }

        return sum;
    }

    private static double[] Attend(double[] q, double[] k, double[] v, int length, int d, int stride, int window)
    {
        double[] output = new double[q.Length];
        for (int t = 0; t < length; t++)
        {
            int first = (int)Math.Max(0, t - (long)window + 1);
            double[] weights = [.. Enumerable.Range(first, t - first + 1).Select(s => Math.Exp(0.4f * Enumerable.Range(0, d).Sum(i => q[(t * stride) + i] * k[(s * stride) + i])))];
            double sum = weights.Sum();
            for (int s = first; s <= t; s++)
            {
                for (int i = 0; i < d; i++)
                {
                    output[(t * stride) + i] += weights[s - first] / sum * v[(s * stride) + i];
                }
            }
        }

        return output;
    }

    private static void Slopes(float[] at, Func<double[], double> function, float[] gradient, double tolerance, int every = 1)
    {
        double[] point = Doubles(at);
        double largest = gradient.Max(Math.Abs);
        for (int i = 0; i < point.Length; i += every)
        {
            double here = point[i];
            point[i] = here + Step;
            double up = function(point);
            point[i] = here - Step;
            double down = function(point);
            point[i] = here;
            Assert.Equal((up - down) / (2 * Step), gradient[i], tolerance * (1 + largest));
        }
    }

    private static double[] Doubles(float[] values) => [.. values.Select(x => (double)x)];

    private static float[] Random(int count, int seed, float size = 1)
    {
        Random random = new(seed);
        return [.. Enumerable.Range(0, count).Select(_ => ((random.NextSingle() * 2) - 1) * size)];
    }
}
