using Vicuna.Managed.Checkpoints;
using Vicuna.Managed.Weights;

namespace Vicuna.Managed.Tests.Compression;

/// <summary>What a checkpoint holds, for comparisons to the bit.</summary>
internal static class ModelBytes
{
    public static Dictionary<string, (TensorType Type, string Bytes)> Tensors(string path)
    {
        using Checkpoint checkpoint = Checkpoint.Open(path, new TensorSetOptions(), default);
        return checkpoint.Tensors.Tensors.Values.ToDictionary(
            tensor => tensor.Info.Name, tensor => (tensor.Info.Type, Convert.ToHexString(tensor.Region.Bytes(0, (int)tensor.Region.Length))));
    }

    public static float[][] Logits(string path, IReadOnlyList<int> ids, LoadOptions? options = null)
    {
        using LanguageModel model = LanguageModel.Load(path, (options ?? new LoadOptions()) with { Threads = 2 });
        return Logits(model, ids);
    }

    public static float[][] Logits(LanguageModel model, IReadOnlyList<int> ids)
    {
        using Generator generator = model.CreateGenerator();
        List<float[]> rows = [];
        generator.AppendObserved([.. ids], (_, logits) => rows.Add(logits.ToArray()));
        return [.. rows];
    }
}
