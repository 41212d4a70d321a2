using Vicuna.Managed.Checkpoints;
using Vicuna.Managed.Models;
using Vicuna.Managed.Weights.Gguf;

namespace Vicuna.Managed.Compression.Conversion;

/// <summary>How rows of queries and keys are put in order on their way from one container to another, see <see cref="GgufRowOrder"/>.</summary>
internal sealed class RowOrders
{
    private readonly ModelConfig _config;
    private readonly bool _isGguf;
    private readonly bool _toGguf;

    /// <summary>The way.</summary>
    /// <param name="from">The checkpoint that is read.</param>
    /// <param name="toGguf">Whether a GGUF file is written.</param>
    public RowOrders(Checkpoint from, bool toGguf)
    {
        _config = from.Config;
        _isGguf = from.Metadata is not null;
        _toGguf = toGguf;
    }

    /// <summary>The row of the source that stands at a row of the new tensor; null where the order stays.</summary>
    /// <param name="name">The tensor's name in Hugging Face's scheme.</param>
    public Func<int, int>? Of(string name)
    {
        if (_isGguf == _toGguf)
        {
            return null;
        }

        int heads = name.Contains(".self_attn.q_proj.", StringComparison.Ordinal) ? _config.NumAttentionHeads
            : name.Contains(".self_attn.k_proj.", StringComparison.Ordinal) ? _config.NumKeyValueHeads
            : 0;
        int headDim = _config.HeadDim;
        return heads == 0 ? null : _toGguf ? row => GgufRowOrder.ToHuggingFace(row, heads, headDim) : row => GgufRowOrder.FromHuggingFace(row, heads, headDim);
    }
}
