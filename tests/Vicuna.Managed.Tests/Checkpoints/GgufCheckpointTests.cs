using Vicuna.Managed.Tests.Support;
using Vicuna.Managed.Tests.Weights.Gguf;

namespace Vicuna.Managed.Tests.Checkpoints;

/// <summary>GGUF files written from tiny models: metadata as config, and the other order of rows.</summary>
public sealed class GgufCheckpointTests
{
    private static readonly TinyShape Shape = new() { KeyValueHeads = 2, Context = 64 };

    private static readonly Dictionary<string, byte[]> Metadata = new()
    {
        ["general.architecture"] = GgufBuilder.Text("llama"),
        ["llama.embedding_length"] = GgufBuilder.Value(4, 32u),
        ["llama.feed_forward_length"] = GgufBuilder.Value(4, 56u),
        ["llama.block_count"] = GgufBuilder.Value(4, 2u),
        ["llama.context_length"] = GgufBuilder.Value(4, 64u),
        ["llama.attention.head_count"] = GgufBuilder.Value(4, 4u),
        ["llama.attention.head_count_kv"] = GgufBuilder.Value(4, 2u),
        ["llama.attention.layer_norm_rms_epsilon"] = GgufBuilder.Value(6, 1e-5f),
    };

    public static TheoryData<string, byte[]?, string> BadMetadata() => new()
    {
        { "general.architecture", GgufBuilder.Text("gpt2"), "architecture 'gpt2' is not supported (supported: llama)" },
        { "general.architecture", null, "expected a value, found nothing" },
        { "llama.embedding_length", null, "expected a value, found nothing" },
        { "llama.feed_forward_length", null, "expected a value, found nothing" },
        { "llama.block_count", null, "expected a value, found nothing" },
        { "llama.context_length", null, "expected a value, found nothing" },
        { "llama.attention.head_count", null, "expected a value, found nothing" },
        { "llama.attention.layer_norm_rms_epsilon", null, "expected a value, found nothing" },
        { "llama.attention.layer_norm_rms_epsilon", GgufBuilder.Value(6, float.NaN), "expected a finite number" },
        { "llama.embedding_length", GgufBuilder.Text("32"), "expected an integer" },
        { "llama.embedding_length", GgufBuilder.Value(10, ulong.MaxValue), "expected" },
        { "llama.attention.head_count", GgufBuilder.Value(4, 0u), "found 0" },
        { "llama.attention.head_count", GgufBuilder.Value(4, 5u), "expected a divisor of embedding_length 32, found 5" },
        { "llama.attention.value_length", GgufBuilder.Value(4, 4u), "expected the key length 8, found 4" },
        { "llama.rope.dimension_count", GgufBuilder.Value(4, 4u), "expected the head dimension 8" },
        { "llama.expert_count", GgufBuilder.Value(4, 8u), "expected a dense model, found 8 experts" },
        { "llama.rope.scaling.type", GgufBuilder.Text("yarn"), "type 'yarn' is not supported" },
        { "llama.rope.scaling.type", GgufBuilder.Text("linear"), "type 'linear' is not supported (supported: none, linear with a factor)" },
    };

    [Fact]
    public void Load_OfAGgufFile_IsTheModelItWasWrittenFrom()
    {
        TinyModel tiny = new(Shape);
        AssertOracle(tiny, Write(tiny, []));
        TinyModel tied = new(Shape with { Tied = true });
        AssertOracle(tied, Write(tied, []));
    }

    [Fact]
    public void Load_OfRopeSettings_IsTheModelItWasWrittenFrom()
    {
        TinyModel theta = new(Shape with { Extra = """ "rope_theta": 500.0, "rope_scaling": {"type": "linear", "factor": 4.0} """ });
        AssertOracle(theta, Write(theta, new()
        {
            ["llama.rope.freq_base"] = GgufBuilder.Value(6, 500f),
            ["llama.rope.scaling.type"] = GgufBuilder.Text("linear"),
            ["llama.rope.scaling.factor"] = GgufBuilder.Value(6, 4f),
        }));
        AssertOracle(theta, Write(theta, new() { ["llama.rope.freq_base"] = GgufBuilder.Value(6, 500f),
            ["llama.rope.scale_linear"] = GgufBuilder.Value(6, 4f) }));
    }

    [Fact]
    public void Load_OfAnEqualDivisorPerFrequency_IsLinearScaling()
    {
        TinyModel linear = new(Shape with { Extra = """ "rope_scaling": {"type": "linear", "factor": 4.0} """ });
        linear.Tensors.Add("rope_freqs.weight", TinyTensor.Rounded(Shape.Type, [4], [4, 4, 4, 4]));
        AssertOracle(linear, Write(linear, []));
        linear.Tensors["rope_freqs.weight"].Values[2] = 0;
        Assert.Equal("rope_freqs.weight", Assert.Throws<ModelFormatException>(() => Load(Write(linear, []))).Item);
    }

    [Theory]
    [MemberData(nameof(BadMetadata))]
    public void Load_OfBadMetadata_IsRefusedNamingTheKey(string key, byte[]? value, string message)
    {
        ModelFormatException found = Assert.Throws<ModelFormatException>(() => Load(Write(new TinyModel(Shape), new() { [key] = value })));
        Assert.Equal("model.gguf", found.FileName);
        Assert.Contains(message, found.Message);
    }

    [Fact]
    public void Load_WithoutATokenizer_IdsWork()
    {
        using LanguageModel model = Load(Write(new TinyModel(Shape), []));
        Assert.False(model.HasTokenizer);
        Assert.Equal(96, model.Config.VocabSize);
        Assert.Contains("tokenizer of kind 'none'", Assert.Throws<ModelFormatException>(() => model.Generate("text")).Message);
    }

    private static void AssertOracle(TinyModel tiny, byte[] gguf)
    {
        int[] tokens = tiny.RandomTokens(40);
        double[] expected = new ReferenceDecoder(tiny).Logits(tokens)[^1];
        using LanguageModel model = Load(gguf);
        using Generator generator = model.CreateGenerator();
        generator.Append(tokens);
        float[] found = generator.GetLogits().ToArray();
        double rms = Math.Sqrt(expected.Average(value => value * value));
        Assert.True(expected.Zip(found, (e, f) => Math.Abs(e - f)).Max() <= 2e-4 * rms);
    }

    private static LanguageModel Load(byte[] gguf)
    {
        using TempFolder folder = new();
        return LanguageModel.Load(folder.Write("model.gguf", gguf), new LoadOptions { CopyToMemory = true, Threads = 1, KeyValueType = KeyValueType.F32 });
    }

    // The metadata with changes; null leaves a key out.
    private static byte[] Write(TinyModel tiny, Dictionary<string, byte[]?> changes)
    {
        GgufBuilder builder = new();
        foreach (string key in Metadata.Keys.Union(changes.Keys))
        {
            if ((changes.TryGetValue(key, out byte[]? changed) ? changed : Metadata[key]) is { } value)
            {
                builder.Pair(key, value);
            }
        }

        foreach ((string name, TinyTensor tensor) in tiny.Tensors)
        {
            TinyTensor stored = name.Contains("q_proj", StringComparison.Ordinal) ? Permute(tensor, 4) : name.Contains("k_proj",
                StringComparison.Ordinal) ? Permute(tensor, 2) : tensor;
            builder.Tensors.Add(new(NameOf(name), [.. tensor.Shape.Reverse().Select(dimension => (ulong)dimension)],
                GgufBuilder.F32) { Data = stored.Bytes() });
        }

        return builder.Build();
    }

    // Rows of each head: 0, d/2, 1, d/2 + 1, ...
    private static TinyTensor Permute(TinyTensor tensor, int heads)
    {
        int columns = (int)tensor.Shape[1];
        int headDim = (int)tensor.Shape[0] / heads;
        float[] values = new float[tensor.Values.Length];
        for (int row = 0; row < tensor.Shape[0]; row++)
        {
            int inHead = row % headDim;
            int from = row - inHead + (inHead / 2) + (inHead % 2 * (headDim / 2));
            tensor.Values.AsSpan(from * columns, columns).CopyTo(values.AsSpan(row * columns));
        }

        return tensor with { Values = values };
    }

    private static string NameOf(string name) => name
        .Replace("model.layers.", "blk.", StringComparison.Ordinal).Replace("model.embed_tokens", "token_embd", StringComparison.Ordinal)
        .Replace("model.norm", "output_norm", StringComparison.Ordinal).Replace("lm_head", "output", StringComparison.Ordinal)
        .Replace("input_layernorm", "attn_norm", StringComparison.Ordinal).Replace("post_attention_layernorm", "ffn_norm", StringComparison.Ordinal)
        .Replace("self_attn.q_proj", "attn_q", StringComparison.Ordinal).Replace("self_attn.k_proj", "attn_k", StringComparison.Ordinal)
        .Replace("self_attn.v_proj", "attn_v", StringComparison.Ordinal).Replace("self_attn.o_proj", "attn_output", StringComparison.Ordinal)
        .Replace("mlp.gate_proj", "ffn_gate", StringComparison.Ordinal).Replace("mlp.up_proj", "ffn_up", StringComparison.Ordinal)
        .Replace("mlp.down_proj", "ffn_down", StringComparison.Ordinal);
}
