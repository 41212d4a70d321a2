using Vicuna.Managed.Adapters;
using Vicuna.Managed.Models;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.Generation;

/// <summary>Adapters through the public face.</summary>
public sealed class LoraAdapterTests
{
    private static readonly GenerationOptions Greedy = new() { Temperature = 0, MaxNewTokens = 12, IgnoreEndOfSequence = true };

    [Fact]
    public async Task EveryWayToGenerate_WithAnAdapter_UsesIt()
    {
        using TempFolder folder = new();
        using LanguageModel model = LanguageModel.Load(PicoVicuna.Folder, new LoadOptions { Threads = 2 });
        LoraAdapter adapter = model.LoadAdapter(TinyAdapter.Write(folder, TinyAdapter.Random(model.Config, 4, seed: 1)), 2);
        GenerationOptions adapted = Greedy with { Adapters = [adapter] };
        int[] prompt = [1, 300, 301, 302, 303];
        IReadOnlyList<int> expected = ByHand(adapter);
        Assert.NotEqual(ByHand(), expected);
        Assert.Equal(expected, model.Generate(prompt, adapted).TokenIds);
        Assert.Equal(ByHand(), model.Generate(prompt, Greedy).TokenIds);
        Assert.Equal(expected, (await model.GenerateAsync(prompt, adapted)).TokenIds);
        Assert.All(model.GenerateBatch([prompt, prompt, new[] { 1, 5 }], adapted).Take(2), answer => Assert.Equal(expected, answer.TokenIds));
        List<int> streamed = [];
        await foreach (GenerationChunk piece in model.StreamAsync(prompt, adapted))
        {
            streamed.AddRange(piece.TokenIds);
        }

        Assert.Equal(expected, streamed);
        Assert.NotEqual(await Say(Greedy), await Say(adapted));

        int[] ByHand(params LoraAdapter[] adapters)
        {
            using Generator generator = model.CreateGenerator(Greedy with { Adapters = adapters });
            Assert.Equal(adapters, generator.Adapters);
            generator.Append(prompt);
            return [.. Enumerable.Range(0, 12).Select(_ => generator.Next())];
        }

        async Task<string> Say(GenerationOptions options)
        {
            using ChatSession chat = model.CreateChat(options: options);
            string text = string.Empty;
            await foreach (GenerationChunk piece in chat.SendAsync("What color is the sky?"))
            {
                text += piece.Text;
            }

            return text;
        }
    }

    [Fact]
    public void Adapters_ChangedBetweenTokens_ChangeWhatIsRunFromThenOn()
    {
        using TempFolder folder = new();
        TinyModel tiny = new(new TinyShape());
        using LanguageModel model = tiny.Load();
        LoraAdapter adapter = model.LoadAdapter(TinyAdapter.Write(folder, TinyAdapter.Random(model.Config, 4, seed: 1)));
        int[] tokens = tiny.RandomTokens(20);
        using Generator generator = model.CreateGenerator();
        generator.Append(tokens.AsSpan(0, 10));
        float[] before = generator.GetLogits().ToArray();
        generator.Adapters = [adapter];
        Assert.Equal(before, generator.GetLogits().ToArray());
        using Generator fork = generator.Fork();
        Assert.Equal([adapter], fork.Adapters);
        generator.Append(tokens.AsSpan(10, 1));
        fork.Append(tokens.AsSpan(10, 1));
        float[] mixed = generator.GetLogits().ToArray();
        Assert.Equal(mixed, fork.GetLogits().ToArray());
        Assert.NotEqual(Logits([]), mixed);
        Assert.NotEqual(Logits([adapter]), mixed);
        // From the beginning again, it is as if it had always been there; and without, as if it never had.
        generator.Rewind(0);
        generator.Append(tokens.AsSpan(0, 11));
        Assert.Equal(Logits([adapter]), generator.GetLogits().ToArray());
        generator.Adapters = [];
        generator.Rewind(0);
        generator.Append(tokens.AsSpan(0, 11));
        Assert.Equal(Logits([]), generator.GetLogits().ToArray());

        float[] Logits(LoraAdapter[] adapters)
        {
            using Generator fresh = model.CreateGenerator(new GenerationOptions { Adapters = adapters });
            fresh.Append(tokens.AsSpan(0, 11));
            return fresh.GetLogits().ToArray();
        }
    }

    [Fact]
    public void Adapters_OfAnotherModelOrNull_AreRefusedByTheCallItself()
    {
        using TempFolder folder = new();
        TinyModel tiny = new(new TinyShape());
        using LanguageModel model = tiny.Load();
        using LanguageModel other = tiny.Load();
        string path = TinyAdapter.Write(folder, TinyAdapter.Random(model.Config, 2, seed: 1));
        GenerationOptions options = new() { Adapters = [other.LoadAdapter(path)] };
        Assert.Contains(path, Assert.Throws<ArgumentException>(() => model.CreateGenerator(options)).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => model.Generate(new[] { 1 }, options));
        Assert.Throws<ArgumentException>(() => { model.StreamAsync(new[] { 1 }, options); });
        Assert.Throws<ArgumentException>(() => model.CreateGenerator(new GenerationOptions { Adapters = [null!] }));
        using Generator generator = model.CreateGenerator();
        Assert.Throws<ArgumentException>(() => generator.Adapters = options.Adapters);
        Assert.Throws<ArgumentNullException>(() => generator.Adapters = null!);
        Assert.Empty(generator.Adapters);
        other.Dispose();
        Assert.Throws<ObjectDisposedException>(() => other.LoadAdapter(path));
    }

    [Theory]
    [InlineData(64, 56, 4, "layers.0.self_attn.q_proj.lora_A", "expected shape [2, 32] for this model, found [2, 64]")]
    [InlineData(32, 57, 4, "layers.0.mlp.gate_proj.lora_B", "expected shape [56, 2] for this model, found [57, 2]")]
    [InlineData(32, 56, 3, "layers.2.self_attn.q_proj.lora_A", "expected a block of 0 to 1, as the model has, found 2")]
    public void LoadAdapter_OfAnotherShape_NamesTensorAndShapes(int hidden, int intermediate, int layers, string named, string message)
    {
        using TempFolder folder = new();
        using LanguageModel model = new TinyModel(new TinyShape()).Load();
        using LanguageModel other = new TinyModel(new TinyShape { Hidden = hidden, Intermediate = intermediate, Layers = layers }).Load();
        string path = TinyAdapter.Write(folder, TinyAdapter.Random(other.Config, 2, seed: 1));
        ModelFormatException found = Assert.Throws<ModelFormatException>(() => model.LoadAdapter(path));
        Assert.Equal(path, found.FileName);
        Assert.Contains(named, found.Item, StringComparison.Ordinal);
        Assert.Contains(message, found.Message, StringComparison.Ordinal);
        Assert.Throws<ModelFormatException>(() => model.LoadAdapter(folder.File("missing")));
    }

    [Fact]
    public void Memory_OfAnAdapter_IsFreedWhenNobodyHoldsIt()
    {
        using TempFolder folder = new();
        using LanguageModel model = new TinyModel(new TinyShape()).Load();
        string path = TinyAdapter.Write(folder, TinyAdapter.Random(model.Config, 2, seed: 1));
        WeakReference weak = Use(model, path);
        for (int i = 0; i < 20 && weak.IsAlive; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }

        Assert.False(weak.IsAlive);

        [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.NoInlining)]
        static WeakReference Use(LanguageModel model, string path)
        {
            LoraAdapter adapter = model.LoadAdapter(path);
            model.Generate(new[] { 1, 2, 3 }, new GenerationOptions { MaxNewTokens = 2, Adapters = [adapter] });
            return new WeakReference(adapter);
        }
    }
}
