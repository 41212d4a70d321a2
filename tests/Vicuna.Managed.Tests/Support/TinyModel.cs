using System.Buffers.Binary;
using System.Text;
using System.Text.Json.Nodes;

namespace Vicuna.Managed.Tests.Support;

/// <summary>
/// A whole checkpoint with seeded random weights, made in memory. <see cref="Config"/> and <see cref="Tensors"/> can be changed before it is
/// used: that is how a test makes a defect.
/// </summary>
internal sealed class TinyModel
{
    private readonly Random _random;

    public TinyModel(TinyShape shape, int seed = 1)
    {
        _random = new Random(seed);
        Shape = shape;
        Config = JsonNode.Parse($$"""
            {
              "model_type": "{{shape.ModelType}}", "hidden_size": {{shape.Hidden}}, "intermediate_size": {{shape.Intermediate}},
              "num_hidden_layers": {{shape.Layers}}, "num_attention_heads": {{shape.Heads}}, "num_key_value_heads": {{shape.KeyValueHeads}},
              "vocab_size": {{shape.Vocab}}, "max_position_embeddings": {{shape.Context}}, "rms_norm_eps": 1e-5{{Comma(shape.Extra)}}
            }
            """)!.AsObject();
        SetWhere(shape.HeadDim is not null, "head_dim", shape.HeadDim);
        SetWhere(shape.Tied, "tie_word_embeddings", true);
        SetWhere(shape.AttentionBias, "attention_bias", true);
        SetWhere(shape.MlpBias, "mlp_bias", true);
        SetWhere(shape.ModelType == "mistral", "sliding_window", shape.SlidingWindow);
        AddTensors();
    }

    /// <summary>Loads <see cref="ForSlowWork"/> so that it stays slow.</summary>
    public static LoadOptions SlowWork => new() { InstructionSet = InstructionSet.Scalar, Threads = 1 };

    public TinyShape Shape { get; }

    public JsonObject Config { get; }

    public SortedDictionary<string, TinyTensor> Tensors { get; } = new(StringComparer.Ordinal);

    /// <summary>Further files, by name.</summary>
    public Dictionary<string, string> TextFiles { get; } = [];

    /// <summary>A model whose answers take seconds, so that a test can come between with room to spare.</summary>
    public static TinyModel ForSlowWork() =>
        new(new TinyShape { Hidden = 256, Intermediate = 1024, Layers = 4, Vocab = 1024, Context = 2048, HasTokenizer = true });

    /// <summary>The bytes of a safetensors file.</summary>
    public static byte[] Safetensors(IEnumerable<KeyValuePair<string, TinyTensor>> tensors)
    {
        JsonObject header = [];
        MemoryStream data = new();
        foreach ((string name, TinyTensor tensor) in tensors)
        {
            long start = data.Length;
            data.Write(tensor.Bytes());
            header[name] = new JsonObject
            {
                ["dtype"] = tensor.Type.ToString(),
                ["shape"] = new JsonArray([.. tensor.Shape.Select(dimension => (JsonNode)dimension)]),
                ["data_offsets"] = new JsonArray(start, data.Length),
            };
        }

        byte[] text = Encoding.UTF8.GetBytes(header.ToJsonString());
        byte[] file = new byte[8 + ((text.Length + 7) / 8 * 8) + data.Length];
        file.AsSpan().Fill((byte)' ');
        BinaryPrimitives.WriteInt64LittleEndian(file, (text.Length + 7) / 8 * 8);
        text.CopyTo(file, 8);
        data.ToArray().CopyTo(file, file.Length - (int)data.Length);
        return file;
    }

    /// <summary>The checkpoint's files by name.</summary>
    public Dictionary<string, ReadOnlyMemory<byte>> Files()
    {
        Dictionary<string, ReadOnlyMemory<byte>> files = new()
        {
            ["config.json"] = Encoding.UTF8.GetBytes(Config.ToJsonString()),
            ["model.safetensors"] = Safetensors(Tensors),
        };
        if (Shape.HasTokenizer)
        {
            files["tokenizer.model"] = File.ReadAllBytes(Path.Combine(PicoVicuna.Folder, "tokenizer.model"));
        }

        foreach ((string name, string text) in TextFiles)
        {
            files[name] = Encoding.UTF8.GetBytes(text);
        }

        return files;
    }

    /// <summary>Writes the checkpoint as a folder and returns its path.</summary>
    public string Write(TempFolder folder)
    {
        foreach ((string name, ReadOnlyMemory<byte> bytes) in Files())
        {
            folder.Write(name, bytes.Span);
        }

        return folder.Path;
    }

    public LanguageModel Load(LoadOptions? options = null) => LanguageModel.LoadFiles(Files(), options ?? new LoadOptions { Threads = 2 });

    public int[] RandomTokens(int count, int seed = 7)
    {
        Random random = new(seed);
        return [.. Enumerable.Range(0, count).Select(_ => random.Next(Shape.Vocab))];
    }

    private static string Comma(string extra) => extra.Length == 0 ? string.Empty : ", " + extra;

    private void SetWhere(bool holds, string key, JsonNode? value)
    {
        if (holds)
        {
            Config[key] = value;
        }
    }

    private void AddTensors()
    {
        long hidden = Shape.Hidden;
        long queries = Shape.Heads * Shape.EffectiveHeadDim;
        long keys = Shape.KeyValueHeads * Shape.EffectiveHeadDim;
        long feedForward = Shape.Intermediate;
        Add("model.embed_tokens.weight", 1, 0, Shape.Vocab, hidden);
        for (int layer = 0; layer < Shape.Layers; layer++)
        {
            string block = $"model.layers.{layer}.";
            Add(block + "input_layernorm.weight", 0.3, 1, hidden);
            // Queries and keys are large enough for attention to prefer some positions clearly.
            Projection(block + "self_attn.q_proj", 1.5, Shape.AttentionBias, queries, hidden);
            Projection(block + "self_attn.k_proj", 1.5, Shape.AttentionBias, keys, hidden);
            Projection(block + "self_attn.v_proj", 1, Shape.AttentionBias, keys, hidden);
            Projection(block + "self_attn.o_proj", 1, Shape.AttentionBias, hidden, queries);
            Add(block + "post_attention_layernorm.weight", 0.3, 1, hidden);
            Projection(block + "mlp.gate_proj", 1, Shape.MlpBias, feedForward, hidden);
            Projection(block + "mlp.up_proj", 1, Shape.MlpBias, feedForward, hidden);
            Projection(block + "mlp.down_proj", 1, Shape.MlpBias, hidden, feedForward);
        }

        Add("model.norm.weight", 0.3, 1, hidden);
        if (!Shape.Tied)
        {
            Projection("lm_head", 2, hasBias: false, Shape.Vocab, hidden);
        }
    }

    private void Projection(string name, double size, bool hasBias, long rows, long columns)
    {
        Add(name + ".weight", size * Math.Sqrt(3.0 / columns), 0, rows, columns);
        if (hasBias)
        {
            Add(name + ".bias", 0.5, 0, rows);
        }
    }

    private void Add(string name, double range, double middle, params long[] shape)
    {
        long count = shape.Aggregate(1L, (product, dimension) => product * dimension);
        IEnumerable<double> values = Enumerable.Range(0, (int)count).Select(_ => middle + (range * ((2 * _random.NextDouble()) - 1)));
        Tensors.Add(name, TinyTensor.Rounded(Shape.Type, shape, values));
    }
}
