namespace Vicuna.Managed.Compression.Training;

/// <summary>Makes what is trained.</summary>
internal static class TrainableModels
{
    /// <summary>A model with new adapters: A random, B zero.</summary>
    public static ITrainableModel Lora(LanguageModel model, HealOptions options) =>
        throw new NotSupportedException($"{model.Info.Path}: expected the backward pass for adapters of rank {options.Rank}, found none.");
}
