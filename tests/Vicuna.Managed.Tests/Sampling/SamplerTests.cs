using Vicuna.Managed.Sampling;

namespace Vicuna.Managed.Tests.Sampling;

public sealed class SamplerTests
{
    private const int VocabSize = 60;
    private const int Draws = 4000;

    private static readonly int[] Prompt = [3, 4, 4, 5, 17];
    private static readonly int[] Answer = [5, 6, 6, 6, 40];

    private static Dictionary<string, SamplingSettings> Single { get; } = new()
    {
        ["nothing"] = new() { Temperature = 1 },
        ["low temperature"] = new() { Temperature = 0.3 },
        ["high temperature"] = new() { Temperature = 4 },
        ["top-k"] = new() { Temperature = 1, TopK = 7 },
        ["top-k beyond the vocabulary"] = new() { Temperature = 1, TopK = 1000 },
        ["top-p"] = new() { Temperature = 1, TopP = 0.6 },
        ["top-p of almost nothing"] = new() { Temperature = 1, TopP = 1e-9 },
        ["top-p of almost all"] = new() { Temperature = 1, TopP = 0.999 },
        ["min-p"] = new() { Temperature = 1, MinP = 0.2 },
        ["min-p of the best alone"] = new() { Temperature = 1, MinP = 1 },
        ["repetition penalty"] = new() { Temperature = 1, RepetitionPenalty = 1.5 },
        ["repetition reward"] = new() { Temperature = 1, RepetitionPenalty = 0.6 },
        ["presence penalty"] = new() { Temperature = 1, PresencePenalty = 1.2 },
        ["frequency penalty"] = new() { Temperature = 1, FrequencyPenalty = 0.7 },
        ["frequency reward"] = new() { Temperature = 1, FrequencyPenalty = -0.7 },
        ["bias"] = new() { Temperature = 1, LogitBias = Bias((2, 3f), (9, -2f)) },
        ["bans"] = new() { Temperature = 1, LogitBias = Bias((0, float.NegativeInfinity), (6, float.NegativeInfinity)), FrequencyPenalty = 0.1 },
        ["temperature, then top-p"] = new() { Temperature = 3, TopP = 0.5 },
        ["top-k, then top-p"] = new() { Temperature = 1, TopK = 10, TopP = 0.8 },
        ["all"] = new()
        {
            Temperature = 1.4, TopK = 30, TopP = 0.95, MinP = 0.05, RepetitionPenalty = 1.1, PresencePenalty = 0.3, FrequencyPenalty = 0.2,
            LogitBias = Bias((1, 2f), (7, float.NegativeInfinity)),
        },
    };

    public static TheoryData<string> SingleNames() => [.. Single.Keys];

    [Theory]
    [MemberData(nameof(SingleNames))]
    public void Draws_WithAnOption_FollowTheReference(string name) => CheckDistribution(RandomLogits(new Random(5), 2), Single[name], Draws);

    [Fact]
    public void Draws_WithRandomOptions_FollowTheReference()
    {
        Random random = new(11);
        for (int round = 0; round < 150; round++)
        {
            SamplingSettings settings = new()
            {
                Temperature = 0.2 + (2 * random.NextDouble()),
                TopK = random.Next(3) == 0 ? random.Next(1, VocabSize) : 0,
                TopP = random.Next(2) == 0 ? 0.05 + (0.94 * random.NextDouble()) : 1,
                MinP = random.Next(2) == 0 ? 0.5 * random.NextDouble() : 0,
                RepetitionPenalty = random.Next(2) == 0 ? 0.8 + random.NextDouble() : 1,
                PresencePenalty = random.Next(2) == 0 ? (4 * random.NextDouble()) - 2 : 0,
                FrequencyPenalty = random.Next(2) == 0 ? (2 * random.NextDouble()) - 1 : 0,
                LogitBias = random.Next(2) == 0 ? Bias((random.Next(VocabSize), 2f)) : [],
                Seed = random.NextInt64(),
            };
            CheckDistribution(RandomLogits(random, 1 + (2 * random.NextDouble())), settings, 1500);
        }
    }

    [Fact]
    public void TopP_WithMinP_CountsWhatMinPDropsLater()
    {
        // 1, 0.5, 0.2 and a hundred times 0.05: 80 % of 6.7 takes in the first three and many of the rest, which min-p then drops. Were they
        // dropped first, 80 % of 1.7 would be the first two alone.
        float[] logits = [0, MathF.Log(0.5f), MathF.Log(0.2f), .. Enumerable.Repeat(MathF.Log(0.05f), 100)];
        SamplingSettings settings = new() { Temperature = 1, TopP = 0.8, MinP = 0.1 };
        Assert.Equal([0, 1, 2], Support(logits, settings, 400));
    }

    [Theory]
    [InlineData(0.0, 0)]
    [InlineData(1.0, 1)]
    public void Sample_Greedily_TakesTheFirstOfTheLargest(double temperature, int topK)
    {
        SamplingSettings settings = new() { Temperature = temperature, TopK = topK };
        Random random = new(3);
        for (int length = 1; length < 200; length++)
        {
            // Few different values: nearly always several are the largest, in any lanes of a vector.
            float[] logits = [.. Enumerable.Range(0, length).Select(_ => (float)random.Next(-3, 1))];
            Assert.Equal(Array.IndexOf(logits, logits.Max()), new Sampler(length).Sample(logits, settings, new TokenCounts(length), length));
        }
    }

    [Fact]
    public void Sample_OfZerosOfBothSigns_TakesTheFirst()
    {
        Assert.Equal(1, One([-1f, -0f, 0f, -0f], new SamplingSettings()));
        Assert.Equal([1], Support([-1f, -0f, 0f, -0f], new SamplingSettings { Temperature = 1, TopP = 0.1 }, 50));
    }

    [Fact]
    public void Ties_AtTheBorder_GoToTheLowerIds()
    {
        float[] logits = [0, 1, 0, 1, 1, 0, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1];
        Assert.Equal([1, 3, 4], Support(logits, new SamplingSettings { Temperature = 1, TopK = 3 }, 400));
        // Each of the 33 ones weighs a little under 3 %: five of them reach 12 %.
        Assert.Equal([1, 3, 4, 6, 7], Support(logits, new SamplingSettings { Temperature = 1, TopP = 0.12 }, 400));
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void Sample_OfALogitThatIsNotANumber_IsRefusedWithItsPlace(float bad)
    {
        foreach (double temperature in new[] { 0, 0.7 })
        {
            for (int place = 0; place < 40; place++)
            {
                float[] logits = new float[40];
                logits[place] = bad;
                var error = Assert.Throws<NonFiniteLogitsException>(() => One(logits, new SamplingSettings { Temperature = temperature }));
                Assert.Contains($"token {place}:", error.Message, StringComparison.Ordinal);
            }
        }
    }

    [Fact]
    public void Sample_WithEveryTokenBanned_IsRefused()
    {
        float[] none = [.. Enumerable.Repeat(float.NegativeInfinity, 40)];
        Assert.Throws<NonFiniteLogitsException>(() => One(none, new SamplingSettings { Temperature = 1 }));
        SamplingSettings bans = new() { LogitBias = Bias([.. Enumerable.Range(0, 40).Select(id => (id, float.NegativeInfinity))]) };
        Assert.Throws<NonFiniteLogitsException>(() => One(new float[40], bans));
    }

    [Fact]
    public void Sample_WithOneTokenLeft_TakesIt()
    {
        float[] logits = [.. Enumerable.Repeat(float.NegativeInfinity, 40)];
        logits[23] = -1e30f;
        foreach (SamplingSettings settings in Single.Values)
        {
            Assert.Equal([23], Support(logits, settings with { LogitBias = [] }, 20));
        }
    }

    [Fact]
    public void Sample_OfExtremeLogitsAndTemperatures_StaysInRange()
    {
        float[] logits = [float.MaxValue, float.MinValue, 0, float.Epsilon, -float.Epsilon, 1e30f];
        foreach (double temperature in new[] { double.Epsilon, 1e-6, 1, 100 })
        {
            foreach (double topP in new[] { 1e-12, 0.5, 1 })
            {
                Assert.Equal([0], Support(logits, new SamplingSettings { Temperature = temperature, TopP = topP }, 50));
            }
        }
    }

    [Fact]
    public void Sample_WithTheSameSeedAndPosition_DrawsTheSame()
    {
        float[] logits = RandomLogits(new Random(8), 1);
        SamplingSettings settings = new() { Temperature = 1, Seed = 77 };
        Sampler used = new(VocabSize);
        for (int position = 0; position < 100; position++)
        {
            used.Sample(logits, settings with { TopK = 5, Seed = 1 }, Counts(), position);
            Assert.Equal(new Sampler(VocabSize).Sample(logits, settings, Counts(), position), used.Sample(logits, settings, Counts(), position));
        }
    }

    [Fact]
    public void Sample_LeavesTheLogitsAlone()
    {
        float[] logits = RandomLogits(new Random(9), 1);
        float[] before = [.. logits];
        new Sampler(VocabSize).Sample(logits, Single["all"], Counts(), 0);
        Assert.Equal(before, logits);
    }

    [Fact]
    public void Penalties_OfATokenThatWasTakenBack_AreGone()
    {
        float[] logits = new float[10];
        logits[4] = 1;
        logits[2] = 0.9f;
        TokenCounts counts = new(10);
        SamplingSettings settings = new() { RepetitionPenalty = 2, PresencePenalty = 1 };
        counts.Add(4, generated: true);
        Assert.Equal(2, new Sampler(10).Sample(logits, settings, counts, 1));
        counts.Remove(4, generated: true);
        Assert.Equal(4, new Sampler(10).Sample(logits, settings, counts, 1));
    }

    private static KeyValuePair<int, float>[] Bias(params (int Token, float Bias)[] pairs) => [.. pairs.Select(pair => KeyValuePair.Create(pair.Token, pair.Bias))];

    private static float[] RandomLogits(Random random, double scale) =>
        [.. Enumerable.Range(0, VocabSize).Select(_ => (float)(scale * (random.NextDouble() + random.NextDouble() + random.NextDouble() - 1.5) * 2))];

    private static TokenCounts Counts()
    {
        TokenCounts counts = new(VocabSize);
        Array.ForEach(Prompt, token => counts.Add(token, generated: false));
        Array.ForEach(Answer, token => counts.Add(token, generated: true));
        return counts;
    }

    private static int One(float[] logits, SamplingSettings settings) => new Sampler(logits.Length).Sample(logits, settings, new TokenCounts(logits.Length), 0);

    private static int[] Support(float[] logits, SamplingSettings settings, int draws)
    {
        Sampler sampler = new(logits.Length);
        TokenCounts counts = new(logits.Length);
        return [.. Enumerable.Range(0, draws).Select(position => sampler.Sample(logits, settings, counts, position)).Distinct().Order()];
    }

    // Nothing that has no probability is drawn, and the rest as often as it should be: chi-square with rare tokens in one bin.
    private static void CheckDistribution(float[] logits, SamplingSettings settings, int draws)
    {
        double[] expected = SamplerReference.Probabilities(logits, settings, Prompt, Answer);
        int[] seen = new int[VocabSize];
        Sampler sampler = new(VocabSize);
        TokenCounts counts = Counts();
        for (int position = 0; position < draws; position++)
        {
            seen[sampler.Sample(logits, settings, counts, position)]++;
        }

        double statistic = 0;
        int bins = 0;
        (double rareExpected, int rareSeen) = (0, 0);
        for (int id = 0; id < VocabSize; id++)
        {
            Assert.True(expected[id] > 0 || seen[id] == 0, $"{settings}: token {id} has no probability but was drawn {seen[id]} times.");
            double times = expected[id] * draws;
            if (times < 5)
            {
                (rareExpected, rareSeen) = (rareExpected + times, rareSeen + seen[id]);
                continue;
            }

            statistic += (seen[id] - times) * (seen[id] - times) / times;
            bins++;
        }

        statistic += rareExpected == 0 ? 0 : (rareSeen - rareExpected) * (rareSeen - rareExpected) / Math.Max(rareExpected, 5);
        // Mean n and variance 2 n of the distribution: six standard deviations and a little for few bins.
        Assert.True(statistic < bins + (6 * Math.Sqrt(2.0 * bins)) + 10, $"{settings}: chi-square {statistic} of {bins} bins.");
    }
}
