using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using Vicuna.Managed.Kernels.Formats;
using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Kernels.Matmul;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Kernels.Ops;
using Vicuna.Managed.Weights;

namespace Vicuna.Managed.Models;

/// <summary>
/// A model's weights, every one checked against the config: a missing or misshapen tensor is an error, never a random or zero weight.
/// Matrices stay where they are mapped; only norm gains and biases are copied.
/// </summary>
internal sealed class DecoderWeights : IDisposable
{
    private const int FingerprintBytes = 256;

    private readonly IReadOnlyList<MemoryBlock> _owned = [];
    private const string RopeFactorsName = "rope_freqs.weight";

    private DecoderWeights()
    {
    }

    private DecoderWeights(IReadOnlyList<MemoryBlock> owned) => _owned = owned;

    /// <summary>Token embedding, <c>[V, D]</c> (<c>model.embed_tokens.weight</c>).</summary>
    public required WeightMatrix TokenEmbedding { get; init; }

    /// <summary>The blocks, in order.</summary>
    public required BlockWeights[] Blocks { get; init; }

    /// <summary>Final gain, f32 <c>[D]</c> (<c>model.norm.weight</c>).</summary>
    public required float[] FinalNorm { get; init; }

    /// <summary>Output head, <c>[V, D]</c> (<c>lm_head.weight</c>, or the embedding where tied).</summary>
    public required WeightMatrix Output { get; init; }

    /// <summary>Radians per position, f64 <c>[dh/2]</c>.</summary>
    public required double[] RopeFrequencies { get; init; }

    /// <summary>Which elements of a head rotate together.</summary>
    public required RopeStyle RopeStyle { get; init; }

    /// <summary>The memory that the matrices lie in.</summary>
    public required IReadOnlyList<MemoryBlock> Memory { get; init; }

    /// <summary>Tensors of the checkpoint that the model has no use for; old buffers that transformers ignores too are not listed.</summary>
    public required IReadOnlyList<string> UnusedTensors { get; init; }

    /// <summary>The matrices that a pass reads: without the embedding, of which a token takes one row.</summary>
    public IEnumerable<WeightMatrix> Matrices => Blocks.SelectMany(MatricesOf).Append(Output);

    /// <summary>Bytes of all matrices that a pass reads.</summary>
    public long BytesPerPass => Matrices.Sum(matrix => matrix.Region.Length);

    /// <summary>Ties tensors to the places where the config needs them.</summary>
    /// <param name="config">The model's shape.</param>
    /// <param name="tensors">All tensors by Hugging Face's names.</param>
    /// <param name="source">The checkpoint's name, for messages.</param>
    /// <param name="tier">The instruction set.</param>
    /// <param name="ropeStyle">Row order of Q and K.</param>
    /// <exception cref="ModelFormatException">A tensor is missing, misshapen, or of a type that cannot be computed with.</exception>
    public static DecoderWeights Bind(
        ModelConfig config, IReadOnlyDictionary<string, StoredTensor> tensors, string source, IsaTier tier, RopeStyle ropeStyle)
    {
        Binder bind = new(tensors, source, tier);
        int hidden = config.HiddenSize;
        int queries = config.NumAttentionHeads * config.HeadDim;
        int keys = config.NumKeyValueHeads * config.HeadDim;
        int feedForward = config.IntermediateSize;
        WeightMatrix embedding = bind.Matrix("model.embed_tokens.weight", config.VocabSize, hidden);
        BlockWeights[] blocks = new BlockWeights[config.NumHiddenLayers];
        for (int layer = 0; layer < blocks.Length; layer++)
        {
            string block = $"model.layers.{layer}.";
            string attention = block + "self_attn.";
            string mlp = block + "mlp.";
            blocks[layer] = new BlockWeights
            {
                AttentionNorm = bind.Vector(block + "input_layernorm.weight", hidden),
                Query = bind.Matrix(attention + "q_proj.weight", queries, hidden),
                Key = bind.Matrix(attention + "k_proj.weight", keys, hidden),
                Value = bind.Matrix(attention + "v_proj.weight", keys, hidden),
                Output = bind.Matrix(attention + "o_proj.weight", hidden, queries),
                FeedForwardNorm = bind.Vector(block + "post_attention_layernorm.weight", hidden),
                Gate = bind.Matrix(mlp + "gate_proj.weight", feedForward, hidden),
                Up = bind.Matrix(mlp + "up_proj.weight", feedForward, hidden),
                Down = bind.Matrix(mlp + "down_proj.weight", hidden, feedForward),
                QueryBias = bind.Bias(attention + "q_proj.bias", queries, config.AttentionBias),
                KeyBias = bind.Bias(attention + "k_proj.bias", keys, config.AttentionBias),
                ValueBias = bind.Bias(attention + "v_proj.bias", keys, config.AttentionBias),
                OutputBias = bind.Bias(attention + "o_proj.bias", hidden, config.AttentionBias),
                GateBias = bind.Bias(mlp + "gate_proj.bias", feedForward, config.MlpBias),
                UpBias = bind.Bias(mlp + "up_proj.bias", feedForward, config.MlpBias),
                DownBias = bind.Bias(mlp + "down_proj.bias", hidden, config.MlpBias),
            };
        }

        float[] ropeFactors = bind.Bias(RopeFactorsName, config.HeadDim / 2, tensors.ContainsKey(RopeFactorsName));
        if (ropeFactors.Any(factor => !float.IsFinite(factor) || factor <= 0))
        {
            throw new ModelFormatException(source, "expected positive numbers", RopeFactorsName);
        }

        return new DecoderWeights
        {
            TokenEmbedding = embedding,
            Blocks = blocks,
            FinalNorm = bind.Vector("model.norm.weight", hidden),
            Output = config.TieWordEmbeddings ? embedding : bind.Matrix("lm_head.weight", config.VocabSize, hidden),
            RopeFrequencies = Models.RopeFrequencies.Compute(config, ropeFactors),
            RopeStyle = ropeStyle,
            Memory = [.. tensors.Values.Select(tensor => tensor.Region.Block).Distinct()],
            UnusedTensors = [.. tensors.Keys.Where(name => !bind.Used.Contains(name) && !IsKnownBuffer(name, config)).Order(StringComparer.Ordinal)],
        };
    }

    /// <summary>The same model with packed matrices.</summary>
    /// <param name="embedding">The embedding to look tokens up in.</param>
    /// <param name="blocks">The blocks.</param>
    /// <param name="head">The output head.</param>
    /// <param name="owned">Memory that <see cref="Dispose"/> is to free.</param>
    public DecoderWeights WithPacked(WeightMatrix embedding, BlockWeights[] blocks, WeightMatrix head, IReadOnlyList<MemoryBlock> owned) => new(owned)
    {
        TokenEmbedding = embedding,
        Blocks = blocks,
        FinalNorm = FinalNorm,
        Output = head,
        RopeFrequencies = RopeFrequencies,
        RopeStyle = RopeStyle,
        Memory = [.. blocks.SelectMany(MatricesOf).Append(head).Append(embedding).Select(matrix => matrix.Region.Block).Distinct()],
        UnusedTensors = UnusedTensors,
    };

    /// <summary>Frees the memory that packing took; that of the files is the checkpoint's.</summary>
    public void Dispose()
    {
        foreach (MemoryBlock block in _owned)
        {
            block.Dispose();
        }
    }

    /// <summary>SHA-256 of the shape, the rotation, the gains of the blocks and the first bytes of every matrix. The caller holds the weights.</summary>
    public byte[] ComputeFingerprint(ModelConfig config)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        // The record's text holds every member of the shape, numbers in the invariant culture.
        hash.AppendData(Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{config with { EosTokenIds = [], BosTokenId = null }}")));
        // The same model in two containers may rotate different rows: its keys are not interchangeable then.
        hash.AppendData([(byte)RopeStyle]);
        hash.AppendData(MemoryMarshal.AsBytes(RopeFrequencies.AsSpan()));
        foreach (BlockWeights block in Blocks)
        {
            hash.AppendData(MemoryMarshal.AsBytes(block.AttentionNorm.AsSpan()));
            hash.AppendData(MemoryMarshal.AsBytes(block.FeedForwardNorm.AsSpan()));
        }

        foreach (WeightMatrix matrix in Blocks.SelectMany(MatricesOf).Append(TokenEmbedding).Append(Output))
        {
            hash.AppendData(Encoding.UTF8.GetBytes(matrix.Format));
            hash.AppendData(matrix.Region.Bytes(0, (int)Math.Min(FingerprintBytes, matrix.Region.Length)));
        }

        return hash.GetHashAndReset();
    }

    private static WeightMatrix[] MatricesOf(BlockWeights block) => [block.Query, block.Key, block.Value, block.Output, block.Gate, block.Up, block.Down];

    // Checkpoints saved before transformers 4.31 hold the rotary frequencies; tied ones may hold the head a second time.
    private static bool IsKnownBuffer(string name, ModelConfig config) =>
        name.EndsWith(".rotary_emb.inv_freq", StringComparison.Ordinal) || (config.TieWordEmbeddings && name == "lm_head.weight");

    private sealed class Binder(IReadOnlyDictionary<string, StoredTensor> tensors, string source, IsaTier tier)
    {
        public HashSet<string> Used { get; } = new(StringComparer.Ordinal);

        public WeightMatrix Matrix(string name, int rows, int columns)
        {
            StoredTensor tensor = Find(name, [rows, columns]);
            WeightFormat format = FormatOf(tensor);
            if (columns % format.BlockElements != 0)
            {
                throw new ModelFormatException(tensor.Info.FileName, $"expected rows of whole blocks of {format.BlockElements} ({format.Name}), found {columns} columns", name);
            }

            return format.Open(tensor.Region, rows, columns, tier);
        }

        public float[] Vector(string name, int length)
        {
            StoredTensor tensor = Find(name, [length]);
            WeightFormat format = FormatOf(tensor);
            float[] values = new float[length];
            if (length % format.BlockElements != 0)
            {
                throw new ModelFormatException(tensor.Info.FileName, $"expected whole blocks of {format.BlockElements} ({format.Name}), found {length} elements", name);
            }

            format.Dequantize(tensor.Region.Bytes(0, checked((int)tensor.Region.Length)), values);
            return values;
        }

        public float[] Bias(string name, int length, bool expected) => expected ? Vector(name, length) : [];

        private StoredTensor Find(string name, ReadOnlySpan<long> shape)
        {
            if (!tensors.TryGetValue(name, out StoredTensor? tensor))
            {
                throw new ModelFormatException(source, $"expected a tensor of shape [{Join(shape)}], found none", name);
            }

            Used.Add(name);
            return tensor.Info.Shape.AsSpan().SequenceEqual(shape)
                ? tensor
                : throw new ModelFormatException(tensor.Info.FileName, $"expected shape [{Join(shape)}], found {tensor.Info.ShapeText}", name);
        }

        private static string Join(ReadOnlySpan<long> shape) => string.Join(", ", shape.ToArray());

        private static WeightFormat FormatOf(StoredTensor tensor) =>
            WeightFormats.Find(tensor.Info.Type.ToString().ToLowerInvariant())
            ?? throw new ModelFormatException(
                tensor.Info.FileName, $"expected weights stored as one of {string.Join(", ", WeightFormats.All.Select(f => f.Name))}, found {tensor.Info.Type}", tensor.Info.Name);
    }
}
