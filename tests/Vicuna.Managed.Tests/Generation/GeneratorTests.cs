using System.Runtime.InteropServices;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.Generation;

/// <summary>What a sequence does must depend on its tokens and options alone, not on how it came about.</summary>
public sealed class GeneratorTests
{
    private static readonly TinyShape Shape = new() { Hidden = 90, Heads = 9, KeyValueHeads = 3, Intermediate = 121, Vocab = 131, Context = 160 };

    private static readonly Dictionary<string, GenerationOptions> Ways = new()
    {
        ["greedy"] = new() { Temperature = 0 },
        ["sampled"] = new() { Temperature = 1.3, Seed = 42 },
        ["filtered"] = new() { Temperature = 1.1, TopK = 50, TopP = 0.95, MinP = 0.01, Seed = -5 },
        ["penalized"] = new() { Temperature = 0.9, Seed = 7, RepetitionPenalty = 1.2, PresencePenalty = 0.4, FrequencyPenalty = 0.3 },
        ["penalized greedy"] = new() { Temperature = 0, RepetitionPenalty = 1.3, PresencePenalty = 0.6, FrequencyPenalty = 0.5 },
    };

    public static TheoryData<string> WayNames() => [.. Ways.Keys];

    [Theory]
    [MemberData(nameof(WayNames))]
    public void Rewind_ToAnyPosition_ContinuesAsAnUntouchedSequence(string way)
    {
        using LanguageModel model = new TinyModel(Shape).Load();
        int[] prompt = new TinyModel(Shape).RandomTokens(60);
        using Generator untouched = Start(model, way, prompt);
        (int[] tokens, float[][] logits) = Continue(untouched, 40);
        using Generator generator = Start(model, way, prompt);
        Continue(generator, 40);
        foreach (int position in new[] { 99, 98, 65, 64, 63, 61, 60, 80, 100 })
        {
            // Back, and forward again to the end, again and again on the same generator.
            generator.Rewind(Math.Min(position, generator.Position));
            int from = generator.Position - 60;
            (int[] again, float[][] logitsAgain) = Continue(generator, 40 - from);
            Assert.Equal(tokens[from..], again);
            AssertSameBits(logits[from..], logitsAgain);
        }

        foreach (int position in new[] { 59, 33, 1 })
        {
            generator.Rewind(position);
            using Generator fresh = Start(model, way, prompt.AsSpan(0, position));
            (int[] expected, float[][] expectedLogits) = Continue(fresh, 12);
            (int[] found, float[][] foundLogits) = Continue(generator, 12);
            Assert.Equal(expected, found);
            AssertSameBits(expectedLogits, foundLogits);
        }

        generator.Rewind(0);
        Assert.Empty(generator.Tokens);
        Assert.Throws<InvalidOperationException>(() => generator.Next());
        Assert.Throws<InvalidOperationException>(() => generator.GetLogits().Length);
        generator.Append(prompt);
        Assert.Equal(tokens, Continue(generator, 40).Tokens);
        Assert.Throws<ArgumentOutOfRangeException>(() => generator.Rewind(101));
        Assert.Throws<ArgumentOutOfRangeException>(() => generator.Rewind(-1));
        Assert.Equal(100, generator.Position);
    }

    [Theory]
    [MemberData(nameof(WayNames))]
    public void Restore_InANewGenerator_ContinuesAsTheSavedOne(string way)
    {
        TinyModel tiny = new(Shape);
        using LanguageModel model = tiny.Load();
        foreach (int length in new[] { 1, 63, 64, 65, 90 })
        {
            using Generator original = Start(model, way, tiny.RandomTokens(length));
            Continue(original, 9);
            using MemoryStream saved = new();
            original.Save(saved);
            (int[] expected, float[][] expectedLogits) = Continue(original, 20);

            // Into one that has a history of its own and another seed.
            using Generator restored = model.CreateGenerator(Ways[way] with { Seed = 999 });
            restored.Append(tiny.RandomTokens(70, seed: 3));
            saved.Position = 0;
            restored.Restore(saved);
            Assert.Equal(saved.Length, saved.Position);
            Assert.Equal(length + 9, restored.Position);
            Assert.Equal(original.Seed, restored.Seed);
            (int[] found, float[][] foundLogits) = Continue(restored, 20);
            Assert.Equal(expected, found);
            AssertSameBits(expectedLogits, foundLogits);
        }
    }

    [Fact]
    public void Restore_IntoALongerContext_Continues_AndIntoAShorterOne_IsRefused()
    {
        TinyModel tiny = new(Shape);
        using LanguageModel small = tiny.Load(new LoadOptions { ContextLength = 40, Threads = 1 });
        using LanguageModel large = tiny.Load();
        using Generator original = Start(small, "sampled", tiny.RandomTokens(30));
        Continue(original, 10);
        using MemoryStream saved = new();
        original.Save(saved);
        using Generator untouched = Start(large, "sampled", tiny.RandomTokens(30));
        int[] expected = Continue(untouched, 60).Tokens;
        using Generator restored = large.CreateGenerator(Ways["sampled"]);
        saved.Position = 0;
        restored.Restore(saved);
        Assert.Equal(expected[10..], Continue(restored, 50).Tokens);

        saved.SetLength(0);
        restored.Save(saved);
        saved.Position = 0;
        ContextLengthExceededException found = Assert.Throws<ContextLengthExceededException>(() => original.Restore(saved));
        Assert.Equal((90, 40), (found.Tokens, found.ContextLength));
        Assert.Equal(40, original.Position);
    }

    [Fact]
    public void Save_OfAnEmptySequence_Restores()
    {
        using LanguageModel model = new TinyModel(Shape).Load();
        using Generator empty = model.CreateGenerator();
        using MemoryStream saved = new();
        empty.Save(saved);
        using Generator generator = Start(model, "greedy", [1, 2, 3]);
        saved.Position = 0;
        generator.Restore(saved);
        Assert.Equal(0, generator.Position);
    }

    [Fact]
    public void Fork_BySaveAndRestore_LeavesBothOnTheirOwn()
    {
        TinyModel tiny = new(Shape);
        using LanguageModel model = tiny.Load();
        using Generator trunk = Start(model, "greedy", tiny.RandomTokens(40));
        using MemoryStream saved = new();
        trunk.Save(saved);
        saved.Position = 0;
        using Generator branch = model.CreateGenerator(Ways["greedy"]);
        branch.Restore(saved);
        branch.Append([5, 6, 7]);
        using Generator lone = Start(model, "greedy", [.. tiny.RandomTokens(40), 5, 6, 7]);
        AssertSameBits(Continue(lone, 10).Logits, Continue(branch, 10).Logits);
        using Generator untouched = Start(model, "greedy", tiny.RandomTokens(40));
        AssertSameBits(Continue(untouched, 10).Logits, Continue(trunk, 10).Logits);
    }

    [Fact]
    public void Restore_OfDamagedData_IsRefusedAndLeavesTheSequence()
    {
        TinyModel tiny = new(Shape with { Layers = 1, Hidden = 36 });
        using LanguageModel model = tiny.Load();
        using Generator original = Start(model, "sampled", tiny.RandomTokens(20));
        using MemoryStream stream = new();
        original.Save(stream);
        byte[] good = stream.ToArray();
        using Generator generator = Start(model, "greedy", [3, 1, 4]);
        byte[] before = Bits(generator);
        for (int at = 0; at < good.Length; at += at < 200 ? 1 : 61)
        {
            byte[] damaged = [.. good];
            damaged[at] ^= 0x80;
            Refused(damaged, mayExceed: at is >= 48 and < 52);
            Refused(good[..at], mayExceed: false);
        }

        Refused([], mayExceed: false);
        Refused(good[..^1], mayExceed: false);
        Assert.Equal(before, Bits(generator));
        Assert.Equal([3, 1, 4], generator.Tokens);
        generator.Restore(new MemoryStream(good));
        Assert.Equal(original.Tokens, generator.Tokens);

        void Refused(byte[] bytes, bool mayExceed)
        {
            Exception? found = Record.Exception(() => generator.Restore(new MemoryStream(bytes)));
            Assert.True(found is ModelFormatException || (mayExceed && found is ContextLengthExceededException), found?.ToString() ?? "not refused");
        }
    }

    [Fact]
    public void Restore_OfAnotherModelsSequence_IsRefused()
    {
        TinyModel tiny = new(Shape);
        using LanguageModel model = tiny.Load();
        using Generator original = Start(model, "greedy", [1, 2, 3]);
        using MemoryStream saved = new();
        original.Save(saved);
        TinyModel otherValues = new(Shape);
        otherValues.Tensors["model.layers.1.self_attn.v_proj.weight"].Values[0] += 1;
        TinyModel otherGain = new(Shape);
        otherGain.Tensors["model.layers.1.input_layernorm.weight"].Values[3] += 1;
        foreach (TinyModel other in new[] { new(Shape, seed: 2), new(Shape with { Extra = """ "rope_theta": 20000.0 """ }), otherValues, otherGain })
        {
            using LanguageModel loaded = other.Load();
            using Generator generator = loaded.CreateGenerator();
            saved.Position = 0;
            Assert.Contains("another model", Assert.Throws<ModelFormatException>(() => generator.Restore(saved)).Message);
        }

        // The same model, loaded once more with other threads.
        using LanguageModel same = tiny.Load(new LoadOptions { Threads = 1 });
        using Generator restored = same.CreateGenerator();
        saved.Position = 0;
        restored.Restore(saved);
        Assert.Equal([1, 2, 3], restored.Tokens);
    }

    [Fact]
    public void Restore_OfTheSameWeightsInAnotherRowOrder_IsRefused()
    {
        using LanguageModel safetensors = LanguageModel.Load(SharedFolder.Require("models/stories260k"));
        using LanguageModel gguf = LanguageModel.Load(SharedFolder.Require("models/gguf/stories260k-f32.gguf"));
        using Generator original = Start(safetensors, "greedy", [1, 2, 3]);
        using MemoryStream saved = new();
        original.Save(saved);
        saved.Position = 0;
        using Generator generator = gguf.CreateGenerator();
        Assert.Throws<ModelFormatException>(() => generator.Restore(saved));
    }

    [Fact]
    public void Seed_DecidesTheText_ForAnyNumberOfThreads()
    {
        TinyModel tiny = new(Shape);
        int[] prompt = tiny.RandomTokens(20);
        List<int[]> runs = [];
        foreach (int threads in new[] { 1, 2, 3, 7 })
        {
            using LanguageModel model = tiny.Load(new LoadOptions { Threads = threads });
            using Generator generator = Start(model, "penalized", prompt);
            Assert.Equal(7, generator.Seed);
            runs.Add(Continue(generator, 60).Tokens);
        }

        Assert.All(runs, run => Assert.Equal(runs[0], run));
        using LanguageModel other = tiny.Load();
        using Generator different = other.CreateGenerator(Ways["penalized"] with { Seed = 8 });
        different.Append(prompt);
        Assert.NotEqual(runs[0], Continue(different, 60).Tokens);
    }

    [Fact]
    public void Seed_WhereNoneIsGiven_IsDrawnAndTold()
    {
        TinyModel tiny = new(Shape);
        using LanguageModel model = tiny.Load();
        using Generator first = model.CreateGenerator(new GenerationOptions { Temperature = 1.5 });
        using Generator second = model.CreateGenerator(new GenerationOptions { Temperature = 1.5 });
        Assert.NotEqual(first.Seed, second.Seed);
        using Generator again = model.CreateGenerator(new GenerationOptions { Temperature = 1.5, Seed = first.Seed });
        first.Append([1]);
        again.Append([1]);
        Assert.Equal(Continue(first, 30).Tokens, Continue(again, 30).Tokens);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(6)]
    public void Append_Cancelled_LeavesTheSequenceAsBefore(int blocks)
    {
        TinyModel tiny = new(Shape);
        int[] more = tiny.RandomTokens(100, seed: 4);
        using LanguageModel model = tiny.Load(new LoadOptions { Threads = 2, PrefillChunkTokens = 32 });
        using Generator generator = Start(model, "penalized", tiny.RandomTokens(30));
        Continue(generator, 5);
        int[] before = [.. generator.Tokens];
        using CancellationTokenSource stop = new();
        generator.Tap = new CountingTap(blocks, stop.Cancel);
        Assert.ThrowsAny<OperationCanceledException>(() => generator.Append(more, stop.Token));
        Assert.Equal(before, generator.Tokens);
        generator.Tap = null;
        Assert.ThrowsAny<OperationCanceledException>(() => generator.Append(more, stop.Token));
        Assert.ThrowsAny<OperationCanceledException>(() => generator.AppendObserved(more, (_, _) => { }, stop.Token));
        using Generator untouched = Start(model, "penalized", tiny.RandomTokens(30));
        Continue(untouched, 5);
        (int[] expected, float[][] expectedLogits) = Continue(untouched, 12);
        (int[] found, float[][] foundLogits) = Continue(generator, 12);
        Assert.Equal(expected, found);
        AssertSameBits(expectedLogits, foundLogits);
    }

    [Fact]
    public void Next_Cancelled_AddsNothing()
    {
        TinyModel tiny = new(Shape);
        using LanguageModel model = tiny.Load();
        using Generator generator = Start(model, "sampled", tiny.RandomTokens(10));
        using Generator untouched = Start(model, "sampled", tiny.RandomTokens(10));
        generator.Next();
        using CancellationTokenSource stop = new();
        generator.Tap = new CountingTap(1, stop.Cancel);
        Assert.ThrowsAny<OperationCanceledException>(() => generator.Next(stop.Token));
        Assert.Equal(11, generator.Position);
        int[] all = Continue(untouched, 10).Tokens;
        Assert.Equal(all[1..], Continue(generator, 9).Tokens);
    }

    [Fact]
    public void AppendObserved_WhoseObserverThrows_LeavesTheSequenceAsBefore()
    {
        TinyModel tiny = new(Shape);
        using LanguageModel model = tiny.Load();
        using Generator generator = Start(model, "greedy", [1, 2, 3]);
        byte[] before = Bits(generator);
        Assert.Throws<FormatException>(() => generator.AppendObserved(tiny.RandomTokens(90), (position, _) => throw new FormatException($"{position}")));
        Assert.Equal([1, 2, 3], generator.Tokens);
        Assert.Equal(before, Bits(generator));
        // From inside, the generator is in use.
        Assert.Throws<InvalidOperationException>(() => generator.AppendObserved([4], (_, _) => generator.Next()));
    }

    [Fact]
    public void Append_BeyondTheContext_IsRefusedBeforeAnyWork()
    {
        TinyModel tiny = new(Shape);
        using LanguageModel model = tiny.Load();
        using Generator generator = Start(model, "greedy", tiny.RandomTokens(150));
        int passes = 0;
        generator.Tap = new CountingTap(1, () => passes++);
        ContextLengthExceededException found = Assert.Throws<ContextLengthExceededException>(() => generator.Append(new int[11]));
        Assert.Equal((161, 160, 0, 150), (found.Tokens, found.ContextLength, passes, generator.Position));
        generator.Append(new int[10]);
        Assert.Equal(160, generator.Position);
        Assert.Throws<ContextLengthExceededException>(() => generator.Next());
        Assert.Throws<ContextLengthExceededException>(() => generator.Append([0]));
        Assert.Equal(131, generator.GetLogits().Length);
        generator.Rewind(159);
        generator.Next();
        Assert.Equal(160, generator.Position);
    }

    [Fact]
    public void Append_OfNothing_IsRefused()
    {
        using LanguageModel model = new TinyModel(Shape).Load();
        using Generator generator = model.CreateGenerator();
        Assert.Throws<ArgumentException>(() => generator.Append([]));
        Assert.Throws<ArgumentNullException>(() => generator.AppendObserved([1], null!));
        Assert.Throws<ArgumentNullException>(() => generator.AppendText(null!));
        Assert.Throws<ArgumentNullException>(() => generator.Save(null!));
        Assert.Throws<ArgumentNullException>(() => generator.Restore(null!));
        Assert.Equal(0, generator.Position);
    }

    [Fact]
    public void AppendText_PutsTheFirstIdAtTheStartOnly()
    {
        using LanguageModel model = LanguageModel.Load(PicoVicuna.Folder);
        using Generator generator = model.CreateGenerator();
        generator.AppendText("The sky");
        generator.AppendText("is blue");
        Assert.Equal([.. model.Tokenizer.Encode("The sky", addBos: true), .. model.Tokenizer.Encode("is blue", addBos: false)], generator.Tokens);
        Assert.Single(generator.Tokens, model.Tokenizer.BosId!.Value);
    }

    private static Generator Start(LanguageModel model, string way, ReadOnlySpan<int> prompt)
    {
        Generator generator = model.CreateGenerator(Ways[way]);
        generator.Append(prompt);
        return generator;
    }

    private static (int[] Tokens, float[][] Logits) Continue(Generator generator, int count)
    {
        int[] tokens = new int[count];
        float[][] logits = new float[count][];
        for (int i = 0; i < count; i++)
        {
            logits[i] = generator.GetLogits().ToArray();
            tokens[i] = generator.Next();
        }

        return (tokens, logits);
    }

    private static byte[] Bits(Generator generator) => MemoryMarshal.AsBytes(generator.GetLogits()).ToArray();

    private static void AssertSameBits(float[][] expected, float[][] found)
    {
        Assert.Equal(expected.Length, found.Length);
        for (int i = 0; i < expected.Length; i++)
        {
            Assert.True(MemoryMarshal.AsBytes(expected[i].AsSpan()).SequenceEqual(MemoryMarshal.AsBytes(found[i].AsSpan())), $"the bits of logits {i} differ");
        }
    }
}
