using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Models;

namespace Vicuna.Managed.Compression.Backprop;

/// <summary>What passes are computed over: the weights of a loaded model, or ones under training.</summary>
/// <param name="Config">The shape.</param>
/// <param name="Weights">The weights.</param>
/// <param name="Tier">Instruction set.</param>
/// <param name="Threads">Threads that compute.</param>
internal sealed record PassModel(ModelConfig Config, DecoderWeights Weights, IsaTier Tier, int Threads)
{
    /// <summary>A loaded model's.</summary>
    public static PassModel Of(LanguageModel model) => new(model.Config, model.Weights, model.Decoder.Tier, Math.Max(model.Threads, model.PrefillThreads));
}
