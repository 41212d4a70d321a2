using Vicuna.Managed.Kernels.Ops;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.Generation;

/// <summary>Two sequences with one beginning, and saved sequences by storage type.</summary>
[Collection(nameof(AloneInTheProcess))]
public sealed class ForkTests : IDisposable
{
    private static readonly TinyShape Shape = new() { Hidden = 90, Heads = 9, KeyValueHeads = 3, Intermediate = 121, Vocab = 131, Context = 300 };
    private static readonly GenerationOptions Options = new() { Temperature = 1.1, Seed = 3, RepetitionPenalty = 1.2, PresencePenalty = 0.3 };

    private readonly TinyModel _tiny = new(Shape);
    private readonly long _live = KvPage.Live;

    public void Dispose() => Assert.Equal(_live, KvPage.Live);

    public static TheoryData<KeyValueType> Types() => [.. Enum.GetValues<KeyValueType>()];

    [Theory]
    [MemberData(nameof(Types))]
    public void Fork_AtAnyLength_GoesOnAsTheOriginalWouldAndLeavesIt(KeyValueType type)
    {
        using LanguageModel model = _tiny.Load(new LoadOptions { Threads = 2, KeyValueType = type });
        foreach (int length in new[] { 1, 63, 64, 65, 130 })
        {
            using Generator untouched = model.CreateGenerator(Options);
            untouched.Append(_tiny.RandomTokens(length));
            int[] expected = Continue(untouched, 20);
            foreach (bool ready in new[] { true, false })
            {
                using Generator original = model.CreateGenerator(Options);
                original.Append(_tiny.RandomTokens(length));
                if (!ready)
                {
                    Assert.Equal(expected[0], original.Next());
                }

                long pages = KvPage.Live;
                using Generator fork = original.Fork();
                Assert.Equal(pages, KvPage.Live);
                Assert.Equal(original.Tokens, fork.Tokens);
                Assert.Equal((original.Seed, original.Options), (fork.Seed, fork.Options));
                int done = ready ? 0 : 1;
                using Generator other = original.Fork();
                other.Append([9, 8, 7]);
                Continue(other, 5);
                Assert.Equal(expected[done..], Continue(fork, 20 - done));
                Assert.Equal(expected[done..], Continue(original, 20 - done));
            }
        }
    }

    [Theory]
    [InlineData(Quantization.None)]
    [InlineData(Quantization.Q8)]
    [InlineData(Quantization.Q4)]
    public void Fork_RewoundAndChanged_LeavesTheOriginalsBits(Quantization quantization)
    {
        using LanguageModel model = _tiny.Load(new LoadOptions { Threads = 2, Quantization = quantization });
        using Generator original = model.CreateGenerator(Options);
        original.Append(_tiny.RandomTokens(150));
        float[] before = original.GetLogits().ToArray();
        using Generator fork = original.Fork();
        Assert.Equal(before, fork.GetLogits().ToArray());
        fork.Rewind(70);
        fork.Append(_tiny.RandomTokens(80, seed: 8));
        using Generator lone = model.CreateGenerator(Options);
        lone.Append([.. _tiny.RandomTokens(150).AsSpan(0, 70), .. _tiny.RandomTokens(80, seed: 8)]);
        Assert.Equal(lone.GetLogits().ToArray(), fork.GetLogits().ToArray());
        original.Rewind(149);
        original.Append(_tiny.RandomTokens(150).AsSpan(149));
        Assert.Equal(before, original.GetLogits().ToArray());
    }

    [Fact]
    public void Fork_OfADisposedOrEmptySequence()
    {
        using LanguageModel model = _tiny.Load();
        Generator original = model.CreateGenerator(Options);
        using Generator empty = original.Fork();
        Assert.Equal(0, empty.Position);
        original.Append(_tiny.RandomTokens(100));
        using Generator fork = original.Fork();
        original.Dispose();
        Assert.Throws<ObjectDisposedException>(() => original.Fork());
        Assert.Equal(131, fork.GetLogits().Length);
        fork.Next();
        Assert.Equal(131, fork.GetLogits().Length);
    }

    [Fact]
    public void SavedSequence_OfEveryType_ContinuesInThatTypeAlone()
    {
        foreach (KeyValueType type in Enum.GetValues<KeyValueType>())
        {
            using LanguageModel model = _tiny.Load(new LoadOptions { Threads = 1, KeyValueType = type });
            foreach (int length in new[] { 5, 64, 100, 129 })
            {
                using Generator original = model.CreateGenerator(Options);
                original.Append(_tiny.RandomTokens(length));
                using MemoryStream saved = new();
                original.Save(saved);
                // A header, five bytes a token, the positions alone of the last page, a checksum.
                Assert.Equal(60 + (5 * length) + (length * model.Info.KeyValueBytesPerToken) + 32, saved.Length);
                saved.Position = 0;
                using Generator restored = model.CreateGenerator(Options);
                restored.Restore(saved);
                Assert.Equal(Continue(original, 10), Continue(restored, 10));
                foreach (KeyValueType other in Enum.GetValues<KeyValueType>().Where(other => other != type))
                {
                    using LanguageModel another = _tiny.Load(new LoadOptions { Threads = 1, KeyValueType = other });
                    using Generator refusing = another.CreateGenerator(Options);
                    saved.Position = 0;
                    string message = Assert.Throws<ModelFormatException>(() => refusing.Restore(saved)).Message;
                    Assert.Contains($"expected keys and values as {other}, found {type}", message);
                }
            }
        }
    }

    [Fact]
    public void SavedSequence_OfAnotherQuantization_IsRefused()
    {
        foreach (Quantization quantization in Enum.GetValues<Quantization>())
        {
            using LanguageModel model = _tiny.Load(new LoadOptions { Threads = 1, Quantization = quantization });
            using Generator original = model.CreateGenerator(Options);
            original.Append(_tiny.RandomTokens(70));
            using MemoryStream saved = new();
            original.Save(saved);
            int[] expected = Continue(original, 10);
            foreach (Quantization other in Enum.GetValues<Quantization>())
            {
                using LanguageModel another = _tiny.Load(new LoadOptions { Threads = 2, Quantization = other });
                using Generator restored = another.CreateGenerator(Options);
                saved.Position = 0;
                if (other == quantization)
                {
                    restored.Restore(saved);
                    Assert.Equal(expected, Continue(restored, 10));
                }
                else
                {
                    Assert.Contains("saved with another model", Assert.Throws<ModelFormatException>(() => restored.Restore(saved)).Message);
                    Assert.Equal(0, restored.Position);
                }
            }
        }
    }

    [Fact]
    public void SavedSequence_OfTheFirstVersion_IsNamedAsSuch()
    {
        using LanguageModel model = _tiny.Load();
        using Generator generator = model.CreateGenerator();
        using MemoryStream saved = new();
        generator.Save(saved);
        byte[] bytes = saved.ToArray();
        bytes[7] = 1;
        Assert.Contains("expected version 2, found version 1", Assert.Throws<ModelFormatException>(() => generator.Restore(new MemoryStream(bytes))).Message);
        bytes[0]++;
        Assert.Contains("found other data", Assert.Throws<ModelFormatException>(() => generator.Restore(new MemoryStream(bytes))).Message);
    }

    private static int[] Continue(Generator generator, int count) => [.. Enumerable.Range(0, count).Select(_ => generator.Next())];
}
