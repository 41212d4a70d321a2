using Vicuna.Managed.Adapters;
using Vicuna.Managed.Models;

namespace Vicuna.Managed;

/// <content>Adapters that change the model while it runs.</content>
public sealed partial class LanguageModel
{
    /// <summary>
    /// Loads a LoRA adapter for this model, in the layout of Hugging Face's PEFT: <c>adapter_config.json</c> beside <c>adapter_model.safetensors</c> or
    /// <c>adapter_model.bin</c>. It addresses the blocks of the model as it is loaded. Any container and quantization of the model will do.
    /// </summary>
    /// <param name="folder">The adapter's folder.</param>
    /// <param name="weight">What its change is multiplied by, dimensionless; see <see cref="LoraAdapter.Weight"/>.</param>
    /// <returns>The adapter, for <see cref="GenerationOptions.Adapters"/>.</returns>
    /// <exception cref="ModelFormatException">The adapter is missing, damaged, not supported, or of other shapes than the model.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The weight is not finite.</exception>
    /// <exception cref="ObjectDisposedException">The model has been disposed.</exception>
    public LoraAdapter LoadAdapter(string folder, float weight = 1)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        ObjectDisposedException.ThrowIf(_disposed, this);
        PeftAdapter adapter = PeftAdapterFile.Read(folder);
        AdapterWeights weights = AdapterBinder.Bind(adapter, Config, _weights.RopeStyle, _decoder.Tier, folder);
        return new LoraAdapter(weights, _decoder, folder, LoraAdapter.CheckWeight(weight, adapter.Config.Scale))
        {
            BaseModel = adapter.Config.BaseModel,
            Rank = adapter.Config.Rank,
            Scale = adapter.Config.Scale,
            ParameterCount = adapter.Pairs.Sum(pair => (long)pair.A.Length + pair.B.Length),
        };
    }
}
