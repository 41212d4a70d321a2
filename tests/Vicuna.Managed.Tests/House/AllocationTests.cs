using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.House;

/// <summary>A decoded token costs no managed memory on the thread that decodes, whatever the options.</summary>
public sealed class AllocationTests
{
    private const int PromptTokens = 8;
    private const int WarmUpTokens = 20;
    private const int MeasuredTokens = 32;

    private const string Adapted = "with two adapters";

    public static TheoryData<string, int> Cases()
    {
        TheoryData<string, int> data = [];
        foreach (string options in Options.Keys.Append(Adapted))
        {
            data.Add(options, 1);
            data.Add(options, 2);
        }

        return data;
    }

    private static Dictionary<string, GenerationOptions> Options { get; } = new()
    {
        ["greedy"] = new() { Temperature = 0 },
        ["sampled"] = Sampled(),
        ["sampled from all"] = new() { Temperature = 1.5, Seed = 2 },
        ["sampled from the nucleus"] = new() { Temperature = 1.5, TopP = 0.95, Seed = 3 },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void Next_AfterWarmUp_AllocatesNothing(string options, int threads)
    {
        using LanguageModel model = LanguageModel.Load(PicoVicuna.Folder, new LoadOptions { Threads = threads });
        using TempFolder folder = new();
        using Generator generator = model.CreateGenerator(options != Adapted ? Options[options] : new GenerationOptions
        {
            Temperature = 0,
            Adapters = [.. new[] { 8, 3 }.Select(rank => model.LoadAdapter(TinyAdapter.Write(folder, TinyAdapter.Random(model.Config, rank, seed: rank))))],
        });
        // All within one page of the cache (64 positions): a page is native memory, but its owner is an object.
        generator.Append([1, .. Enumerable.Range(300, PromptTokens - 1)]);
        for (int i = 0; i < WarmUpTokens; i++)
        {
            generator.Next();
        }

        // The end of the warm-up ran with everything loaded; what follows is new tokens at new positions. A thread that has to sleep for the first time
        // makes the runtime allocate what it sleeps on: once in its life, so not in both halves.
        long least = long.MaxValue;
        for (int half = 0; half < 2; half++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int i = 0; i < MeasuredTokens / 2; i++)
            {
                generator.Next();
            }

            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        Assert.Equal(PromptTokens + WarmUpTokens + (MeasuredTokens / 2 * 2), generator.Position);
        Assert.Equal(0, least);
    }

    [Fact]
    public void Counter_OfAllocatedBytes_SeesASmallObject()
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        object kept = new();
        Assert.True(GC.GetAllocatedBytesForCurrentThread() > before);
        GC.KeepAlive(kept);
    }

    private static GenerationOptions Sampled() => new()
    {
        Temperature = 0.8,
        TopK = 40,
        TopP = 0.9,
        MinP = 0.05,
        RepetitionPenalty = 1.3,
        PresencePenalty = 0.5,
        FrequencyPenalty = 0.5,
        LogitBias = new Dictionary<int, float> { [5] = float.NegativeInfinity, [300] = 1 },
        Seed = 1,
    };
}
