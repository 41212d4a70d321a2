using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.Generation;

/// <summary>Numbers of threads, and what must not depend on them.</summary>
public sealed class LoadThreadsTests
{
    private static readonly int[] Prompt = [1, .. Enumerable.Range(300, 40)];

    [Fact]
    public void Load_WithoutNumbers_UsesTheProcessorsOfTheProcess()
    {
        using LanguageModel model = LanguageModel.Load(PicoVicuna.Folder);
        Assert.Equal(Environment.ProcessorCount, model.Threads);
        Assert.Equal(Environment.ProcessorCount, model.PrefillThreads);
    }

    [Theory]
    [InlineData(3, null, 3, 3)]
    [InlineData(1, 4, 1, 4)]
    [InlineData(5, 2, 5, 2)]
    public void Load_WithNumbers_KeepsThem(int? threads, int? prefillThreads, int decode, int prefill)
    {
        using LanguageModel model = LanguageModel.Load(PicoVicuna.Folder, new LoadOptions { Threads = threads, PrefillThreads = prefillThreads });
        Assert.Equal((decode, prefill), (model.Threads, model.PrefillThreads));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1025)]
    public void Load_PrefillThreadsOutOfRange_Throws(int threads) => Assert.Contains(
        $"PrefillThreads: expected 1 to 1024, found {threads}.",
        Assert.Throws<ArgumentOutOfRangeException>(() => LanguageModel.Load(PicoVicuna.Folder, new LoadOptions { PrefillThreads = threads })).Message,
        StringComparison.Ordinal);

    // Two models at a time, each from two threads, with more workers than processors.
    [Fact]
    public void Generate_OnOversubscribedModelsAtOnce_GivesTheSameBits()
    {
        float[] expected = Logits(new LoadOptions { Threads = 1 });
        using LanguageModel one = LanguageModel.Load(PicoVicuna.Folder, new LoadOptions { Threads = 2, PrefillThreads = 16 });
        using LanguageModel other = LanguageModel.Load(PicoVicuna.Folder, new LoadOptions { Threads = 64, PrefillThreads = 3 });
        float[][] found = new float[4][];
        Thread[] callers = [.. Enumerable.Range(0, found.Length).Select(number => new Thread(() => found[number] = Logits(number % 2 == 0 ? one : other)))];
        Array.ForEach(callers, caller => caller.Start());
        Assert.All(callers, caller => Assert.True(caller.Join(TimeSpan.FromMinutes(2)), "It hangs."));
        Assert.All(found, logits => Assert.Equal(expected, logits));
    }

    private static float[] Logits(LoadOptions options)
    {
        using LanguageModel model = LanguageModel.Load(PicoVicuna.Folder, options);
        return Logits(model);
    }

    private static float[] Logits(LanguageModel model)
    {
        using Generator generator = model.CreateGenerator(new GenerationOptions { Temperature = 0 });
        generator.Append(Prompt);
        List<float> all = [];
        for (int i = 0; i < 10; i++)
        {
            all.AddRange(generator.GetLogits());
            generator.Next();
        }

        return [.. all];
    }
}
