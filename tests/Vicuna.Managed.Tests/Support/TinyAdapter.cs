using Vicuna.Managed.Adapters;
using Vicuna.Managed.Models;

namespace Vicuna.Managed.Tests.Support;

/// <summary>LoRA adapters with seeded random factors, as large as the change of logits needs to be seen.</summary>
internal static class TinyAdapter
{
    /// <summary>An adapter of some projections of every block.</summary>
    public static PeftAdapter Random(ModelConfig config, int rank, int seed, params BlockMatrix[] matrices)
    {
        Random random = new(seed);
        BlockMatrix[] chosen = matrices.Length > 0 ? matrices : Enum.GetValues<BlockMatrix>();
        List<LoraPair> pairs = [];
        for (int layer = 0; layer < config.NumHiddenLayers; layer++)
        {
            foreach (BlockMatrix matrix in chosen)
            {
                (int rows, int columns) = BlockMatrices.ShapeOf(matrix, config);
                float[] a = Values(rank * columns, Math.Sqrt(1.0 / columns));
                float[] b = Values(rows * rank, Math.Sqrt(0.5 / rank));
                pairs.Add(new LoraPair(layer, BlockMatrices.NameOf(matrix), rank, a, b));
            }
        }

        return new PeftAdapter(new PeftConfig { Rank = rank, Alpha = rank, TargetModules = [] }, pairs);

        float[] Values(int count, double size) => [.. Enumerable.Range(0, count).Select(_ => (float)(((2 * random.NextDouble()) - 1) * size))];
    }

    /// <summary>Writes it into a new folder below another.</summary>
    public static string Write(TempFolder folder, PeftAdapter adapter)
    {
        string path = folder.File($"adapter-{Directory.GetDirectories(folder.Path).Length}");
        PeftAdapterFile.Write(path, adapter);
        return path;
    }

    /// <summary>The model's tensors with the adapter in them, in single precision whatever the model's type is; for the oracle.</summary>
    public static void MergeInto(TinyModel model, PeftAdapter adapter, double weight = 1)
    {
        foreach (LoraPair pair in adapter.Pairs)
        {
            string name = $"model.layers.{pair.Layer}.{pair.Projection}.weight";
            TinyTensor tensor = model.Tensors[name];
            float[] values = [.. tensor.Values];
            int columns = (int)tensor.Shape[1];
            for (int i = 0; i < values.Length; i++)
            {
                double sum = 0;
                for (int r = 0; r < pair.Rank; r++)
                {
                    sum += (double)pair.B[(i / columns * pair.Rank) + r] * pair.A[(r * columns) + (i % columns)];
                }

                values[i] = (float)(values[i] + (weight * adapter.Config.Scale * sum));
            }

            model.Tensors[name] = new TinyTensor(Managed.Weights.TensorType.F32, tensor.Shape, values);
        }
    }
}
