using Vicuna.Managed.Checkpoints;
using Vicuna.Managed.Models;
using Vicuna.Managed.Weights;

namespace Vicuna.Managed.Compression.Conversion;

/// <summary>What llama.cpp expects of a GGUF file's tensors: their order and types. Source: llama.cpp's convert_hf_to_gguf.py and llama-quant.cpp.</summary>
internal static class GgufLayout
{
    /// <summary>Name of the token embedding.</summary>
    public const string Embedding = "model.embed_tokens.weight";

    /// <summary>Name of the output head.</summary>
    public const string Head = "lm_head.weight";

    /// <summary>The version of ggml's block formats (<c>GGML_QNT_VERSION</c>).</summary>
    public const uint QuantizationVersion = 2;

    // Within a block the normalizations stand before what they feed.
    private static readonly string[] Parts = ["input_layernorm", "self_attn", "post_attention_layernorm", "mlp"];

    /// <summary>Hugging Face's names of the model's tensors, in the order of a GGUF file.</summary>
    public static IEnumerable<string> InOrder(ModelConfig config)
    {
        string[] names = [.. ModelTensors.Of(config, TensorType.F32).Select(tensor => tensor.Name)];
        ILookup<string, string> byBlock = names.ToLookup(name => name.StartsWith("model.layers.", StringComparison.Ordinal) ? name.Split('.')[2] : name);
        return byBlock.SelectMany(block => block.OrderBy(name => Array.FindIndex(Parts, part => name.Contains($".{part}.", StringComparison.Ordinal))));
    }

    /// <summary>The type that a tensor has in a file of mostly another.</summary>
    /// <param name="tensor">The tensor.</param>
    /// <param name="type">What was asked for.</param>
    /// <param name="isHead">Whether it decides between tokens.</param>
    public static TensorType TypeOf(TensorInfo tensor, TensorType type, bool isHead)
    {
        if (tensor.Shape.Length == 1)
        {
            return TensorType.F32;
        }

        TensorType wanted = isHead && type == TensorType.Q4_0 ? TensorType.Q8_0 : type;
        return tensor.Shape[^1] % wanted.BlockElements() == 0 ? wanted : TensorType.F16;
    }

    /// <summary>The number of a type in <c>general.file_type</c> (llama.h, <c>enum llama_ftype</c>).</summary>
    public static uint FileType(TensorType type) => type switch
    {
        TensorType.F32 => 0,
        TensorType.F16 => 1,
        TensorType.Q4_0 => 2,
        TensorType.Q8_0 => 7,
        TensorType.BF16 => 32,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "Not a type that can be written."),
    };
}
