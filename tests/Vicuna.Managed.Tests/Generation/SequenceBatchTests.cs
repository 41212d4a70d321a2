using System.Runtime.InteropServices;
using Vicuna.Managed.Generation;
using Vicuna.Managed.Models;
using Vicuna.Managed.Tests.Support;
using Vicuna.Managed.Weights;

namespace Vicuna.Managed.Tests.Generation;

/// <summary>Sequences that share passes compute what they would compute alone, to the bit.</summary>
public sealed class SequenceBatchTests
{
    private const int Steps = 3;

    private static readonly TinyShape Shape = new() { Hidden = 90, Heads = 9, KeyValueHeads = 3, Intermediate = 121, Vocab = 131, Context = 160, Layers = 2 };

    public static TheoryData<InstructionSet, TensorType, Quantization, KeyValueType> Cases()
    {
        TheoryData<InstructionSet, TensorType, Quantization, KeyValueType> data = [];
        foreach (InstructionSet set in Tiers.Supported)
        {
            data.Add(set, TensorType.F32, Quantization.None, KeyValueType.F16);
            data.Add(set, TensorType.F16, Quantization.None, KeyValueType.Q8);
            data.Add(set, TensorType.F16, Quantization.None, KeyValueType.F32);
            data.Add(set, TensorType.BF16, Quantization.Q8, KeyValueType.F16);
            data.Add(set, TensorType.F16, Quantization.Q4, KeyValueType.Q8);
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Logits_InABatchOfAnySizeThreadsAndChunk_AreThoseOfALoneRun(
        InstructionSet set, TensorType weights, Quantization quantization, KeyValueType keyValues)
    {
        TinyModel tiny = new(Shape with { Type = weights });
        // From one token to more than two pages; a few end at a page's border after a step.
        int[][] prompts = [.. Enumerable.Range(0, 32).Select(i => tiny.RandomTokens(i % 4 == 3 ? 62 + (i / 8) : 1 + (i * 29 % 140), seed: i))];
        float[][]? expected = null;
        foreach ((int threads, int chunk, int size) in new[] { (1, 512, 1), (1, 512, 32), (2, 64, 5), (3, 512, 2), (7, 7, 32), (16, 512, 32), (2, 1, 3) })
        {
            using LanguageModel model = tiny.Load(new LoadOptions
            {
                InstructionSet = set,
                Threads = threads,
                PrefillChunkTokens = chunk,
                Quantization = quantization,
                KeyValueType = keyValues,
            });
            float[][] found = size == 1 ? [.. prompts.Select(prompt => Alone(model, prompt))] : [.. prompts.Chunk(size).SelectMany(some => Together(model, some))];
            expected ??= found;
            for (int i = 0; i < prompts.Length; i++)
            {
                Assert.True(
                    MemoryMarshal.AsBytes<float>(expected[i]).SequenceEqual(MemoryMarshal.AsBytes<float>(found[i])),
                    $"prompt {i} of {prompts[i].Length} tokens, {threads} threads, chunks of {chunk}, batches of {size}");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Tiers.All), MemberType = typeof(Tiers))]
    public void Logits_WithASlidingWindow_AreThoseOfALoneRun(InstructionSet set)
    {
        TinyModel tiny = new(Shape with { ModelType = "mistral", SlidingWindow = 70 });
        int[][] prompts = [.. new[] { 150, 3, 71, 128, 64 }.Select((length, i) => tiny.RandomTokens(length, seed: i))];
        using LanguageModel model = tiny.Load(new LoadOptions { InstructionSet = set, Threads = 2 });
        float[][] expected = [.. prompts.Select(prompt => Alone(model, prompt))];
        Assert.Equal(expected, Together(model, prompts));
    }

    [Fact]
    public void Step_OfPromptsBeyondAPass_ServesSingleTokensFirst()
    {
        TinyModel tiny = new(Shape);
        using LanguageModel model = tiny.Load(new LoadOptions { Threads = 1, PrefillChunkTokens = 16 });
        using Generator running = model.CreateGenerator();
        using Generator longPrompt = model.CreateGenerator();
        running.Append(tiny.RandomTokens(5));
        SequenceBatch batch = new(model.Decoder);
        batch.Add(longPrompt.Sequence);
        batch.Add(running.Sequence);
        longPrompt.Sequence.AppendPending(tiny.RandomTokens(40));
        int tokens = 0;
        do
        {
            running.Next();
            tokens++;
            batch.Step(CancellationToken.None);
            Assert.True(running.Sequence.HasLogits);
        }
        while (!longPrompt.Sequence.HasLogits);

        // 15 tokens of the prompt a pass beside the one of the other.
        Assert.Equal(3, tokens);
        Assert.Equal(2, batch.Step(CancellationToken.None));
    }

    [Fact]
    public void Step_Cancelled_LeavesAllSequencesAsBefore()
    {
        TinyModel tiny = new(Shape);
        using LanguageModel model = tiny.Load();
        using Generator one = model.CreateGenerator();
        using Generator two = model.CreateGenerator();
        one.Append(tiny.RandomTokens(64));
        one.Next();
        two.Sequence.AppendPending(tiny.RandomTokens(70));
        SequenceBatch batch = new(model.Decoder);
        batch.Add(one.Sequence);
        batch.Add(two.Sequence);
        using CancellationTokenSource stop = new();
        stop.Cancel();
        Assert.ThrowsAny<OperationCanceledException>(() => batch.Step(stop.Token));
        Assert.Equal((64, 1, 0, 0), (one.Sequence.Cache.Length, one.Sequence.Cache.Pages.Count, two.Sequence.Cache.Length, two.Sequence.Cache.Pages.Count));
        Assert.Equal(2, batch.Step(CancellationToken.None));
        Assert.Equal(65, one.Sequence.Cache.Length);
    }

    [Fact]
    public void Forward_CancelledInTheMiddle_LeavesAllCachesAsBefore()
    {
        TinyModel tiny = new(Shape);
        using LanguageModel model = tiny.Load();
        using KvCache one = new(model.Decoder.CacheShape, 100);
        using KvCache two = new(model.Decoder.CacheShape, 100);
        DecoderState state = model.Decoder.RentState();
        using CancellationTokenSource stop = new();
        CountingTap tap = new(1, stop.Cancel);
        SequenceSlice[] slices = [new(one, 3), new(two, 5)];
        Assert.ThrowsAny<OperationCanceledException>(() => model.Decoder.Forward(tiny.RandomTokens(8), slices, state, tap, stop.Token));
        Assert.Equal((0, 0, 0, 0), (one.Length, one.Pages.Count, two.Length, two.Pages.Count));
        model.Decoder.Forward(tiny.RandomTokens(8), slices, state, null, CancellationToken.None);
        Assert.Equal((3, 5), (one.Length, two.Length));
        foreach (SequenceSlice[] wrong in new SequenceSlice[][] { [], [new(one, 7)], [new(one, 4), new(one, 4)], [new(one, 8), new(two, 0)], [new(one, 9), new(two, -1)] })
        {
            Assert.Throws<ArgumentException>(() => model.Decoder.Forward(tiny.RandomTokens(8), wrong, state, null, CancellationToken.None));
        }

        Assert.Throws<ArgumentException>(() => model.Decoder.Forward(new int[600], [new(one, 600)], state, null, CancellationToken.None));
        Assert.Throws<ArgumentOutOfRangeException>(() => model.Decoder.Forward(new int[103], [new(one, 3), new(two, 100)], state, null, CancellationToken.None));
        Assert.Equal((3, 1, 5, 1), (one.Length, one.Pages.Count, two.Length, two.Pages.Count));
        model.Decoder.ReturnState(state);
    }

    [Fact]
    public void Step_WithASequenceThatCannotTakePart_LetsGoOfAll()
    {
        TinyModel tiny = new(Shape);
        using LanguageModel model = tiny.Load();
        using Generator good = model.CreateGenerator();
        using Generator empty = model.CreateGenerator();
        good.Append([1, 2, 3]);
        SequenceBatch batch = new(model.Decoder);
        batch.Add(good.Sequence);
        batch.Add(empty.Sequence);
        Assert.Throws<InvalidOperationException>(() => batch.Step(CancellationToken.None));
        good.Next();
        empty.Dispose();
        Assert.Throws<ObjectDisposedException>(() => batch.Step(CancellationToken.None));
        good.Next();
        batch.Remove(empty.Sequence);
        Assert.Equal(1, batch.Step(CancellationToken.None));
    }

    [Fact]
    public void Step_AfterWarmUp_AllocatesNothing()
    {
        TinyModel tiny = new(Shape);
        using LanguageModel model = tiny.Load();
        Generator[] generators = [.. Enumerable.Range(0, 5).Select(i => model.CreateGenerator())];
        SequenceBatch batch = new(model.Decoder);
        foreach (Generator generator in generators)
        {
            generator.Append(tiny.RandomTokens(70));
            batch.Add(generator.Sequence);
        }

        long before = 0;
        for (int i = 0; i < 40; i++)
        {
            before = i == 20 ? GC.GetAllocatedBytesForCurrentThread() : before;
            foreach (Generator generator in generators)
            {
                generator.Next();
            }

            batch.Step(CancellationToken.None);
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Array.ForEach(generators, generator => generator.Dispose());
    }

    [Fact]
    public void Step_WithAnAnswerALongPromptAndAShortOne_ServesAllThreeInOnePass()
    {
        TinyModel tiny = new(Shape);
        using LanguageModel model = tiny.Load();
        using Generator answer = model.CreateGenerator();
        using Generator longOne = model.CreateGenerator();
        using Generator shortOne = model.CreateGenerator();
        answer.Append(tiny.RandomTokens(5));
        answer.Next();
        longOne.Sequence.AppendPending(tiny.RandomTokens(150));
        SequenceBatch batch = model.CreateBatch();
        batch.Add(longOne.Sequence);
        batch.Add(answer.Sequence);
        Assert.Equal(1, batch.Step(16, TestContext.Current.CancellationToken));
        Assert.Equal((1, 16, 16), (batch.SingleTokens, batch.PromptTokens, longOne.Sequence.Cache.Length));
        Assert.True(answer.Sequence.HasLogits);

        // The short prompt is through after one pass, which the long one has no part in.
        answer.Next();
        shortOne.Sequence.AppendPending(tiny.RandomTokens(7));
        batch.Add(shortOne.Sequence);
        Assert.Equal(2, batch.Step(16, TestContext.Current.CancellationToken));
        Assert.True(shortOne.Sequence.HasLogits);
        Assert.Equal((1, 7, 16), (batch.SingleTokens, batch.PromptTokens, longOne.Sequence.Cache.Length));

        // Prompts that fill the passes do not hold up the one that came first for ever.
        answer.Next();
        using Generator another = model.CreateGenerator();
        another.Sequence.AppendPending(tiny.RandomTokens(24));
        batch.Add(another.Sequence);
        Assert.Equal(2, batch.Step(16, TestContext.Current.CancellationToken));
        Assert.Equal((24, 8), (longOne.Sequence.Cache.Length, another.Sequence.Cache.Length));
        answer.Next();
        Assert.Equal(3, batch.Step(16, TestContext.Current.CancellationToken));
        Assert.Equal((24, 24), (longOne.Sequence.Cache.Length, another.Sequence.Cache.Length));

        // Without room for prompts the answer goes on alone.
        answer.Next();
        Assert.Equal(3, batch.Step(0, TestContext.Current.CancellationToken));
        Assert.Equal((1, 0, 24), (batch.SingleTokens, batch.PromptTokens, longOne.Sequence.Cache.Length));
        Assert.Equal(3, batch.Step(0, TestContext.Current.CancellationToken));
        Assert.Equal((0, 0), (batch.SingleTokens, batch.PromptTokens));
    }

    // The logits after the prompt and after each of some greedy tokens.
    private static float[] Alone(LanguageModel model, int[] prompt)
    {
        using Generator generator = model.CreateGenerator(new GenerationOptions { Temperature = 0 });
        generator.Append(prompt);
        List<float> logits = [];
        for (int step = 0; step < Steps; step++)
        {
            logits.AddRange(generator.GetLogits());
            generator.Next();
        }

        return [.. logits];
    }

    private static float[][] Together(LanguageModel model, int[][] prompts)
    {
        Generator[] generators = [.. prompts.Select(_ => model.CreateGenerator(new GenerationOptions { Temperature = 0 }))];
        List<float>[] logits = [.. prompts.Select(_ => new List<float>())];
        SequenceBatch batch = new(model.Decoder);
        for (int i = 0; i < prompts.Length; i++)
        {
            generators[i].Sequence.AppendPending(prompts[i]);
            batch.Add(generators[i].Sequence);
        }

        // Whoever is ready goes on at once, while others' prompts are still under way.
        while (batch.Sequences.Count > 0)
        {
            batch.Step(CancellationToken.None);
            for (int i = 0; i < prompts.Length; i++)
            {
                if (generators[i].Sequence.HasLogits && batch.Sequences.Contains(generators[i].Sequence))
                {
                    logits[i].AddRange(generators[i].GetLogits());
                    generators[i].Next();
                    if (logits[i].Count == Steps * model.Config.VocabSize)
                    {
                        batch.Remove(generators[i].Sequence);
                    }
                }
            }
        }

        Array.ForEach(generators, generator => generator.Dispose());
        return [.. logits.Select(list => list.ToArray())];
    }
}
