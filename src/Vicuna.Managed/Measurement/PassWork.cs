using Vicuna.Managed.Models;

namespace Vicuna.Managed.Measurement;

/// <summary>What a forward pass of a model costs, by its shape.</summary>
/// <param name="Config">The shape.</param>
/// <param name="WeightBytes">Bytes of weights that a pass reads: all matrices, without the embedding, of which a token takes one row.</param>
internal sealed record PassWork(ModelConfig Config, long WeightBytes)
{
    /// <summary>
    /// Floating-point operations of a prompt of T tokens, from an empty sequence to the logits after its last token:
    /// <c>2 · P · T + 2 · D · V + L · 2 · T² · H · dh</c>. P are the elements of the blocks' matrices, a multiplication and an addition each;
    /// the output head runs for the last token alone. Scores and weighted sums of a token that sees n tokens take <c>4 · n · H · dh</c>, and n is
    /// T / 2 on average. Norms, rotation and activation are left out: below a hundredth. A sliding window is not taken off.
    /// </summary>
    /// <param name="tokens">T.</param>
    public double PrefillOperations(int tokens)
    {
        double hidden = Config.HiddenSize;
        double queries = (double)Config.NumAttentionHeads * Config.HeadDim;
        double keys = (double)Config.NumKeyValueHeads * Config.HeadDim;
        double block = (2 * hidden * queries) + (2 * hidden * keys) + (3 * hidden * Config.IntermediateSize);
        double attention = 2.0 * tokens * tokens * queries;
        return (2 * block * Config.NumHiddenLayers * tokens) + (2 * hidden * Config.VocabSize) + (Config.NumHiddenLayers * attention);
    }
}
