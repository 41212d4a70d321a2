using System.Text.Json.Nodes;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Weights;

namespace Vicuna.Managed.Tests.Support;

/// <summary>Copies a model of one safetensors file without some of its blocks; the others are numbered anew.</summary>
internal static class PrunedCopy
{
    public static string Write(TempFolder folder, string source, params int[] removed)
    {
        const string prefix = "model.layers.";
        JsonObject config = JsonNode.Parse(File.ReadAllText(Path.Combine(source, "config.json")))!.AsObject();
        int layers = config["num_hidden_layers"]!.GetValue<int>();
        int[] kept = [.. Enumerable.Range(0, layers).Except(removed)];
        config["num_hidden_layers"] = kept.Length;
        string path = folder.File("pruned");
        Directory.CreateDirectory(path);
        File.WriteAllText(Path.Combine(path, "config.json"), config.ToJsonString());
        File.Copy(Path.Combine(source, "tokenizer.model"), Path.Combine(path, "tokenizer.model"));
        using MappedFile file = MappedFile.Open(Path.Combine(source, "model.safetensors"));
        Dictionary<string, StoredTensor> tensors = [];
        foreach (StoredTensor tensor in SafetensorsFile.Read(file.Region, "model.safetensors"))
        {
            string name = tensor.Info.Name;
            if (name.StartsWith(prefix, StringComparison.Ordinal))
            {
                int dot = name.IndexOf('.', prefix.Length);
                int layer = Array.IndexOf(kept, int.Parse(name.AsSpan(prefix.Length..dot), System.Globalization.CultureInfo.InvariantCulture));
                name = layer < 0 ? string.Empty : prefix + layer + name[dot..];
            }

            if (name.Length > 0)
            {
                tensors.Add(name, tensor);
            }
        }

        using SafetensorsWriter writer = SafetensorsWriter.Create(
            Path.Combine(path, "model.safetensors"), [.. tensors.Select(tensor => (tensor.Key, tensor.Value.Info.Type, tensor.Value.Info.Shape.ToArray()))]);
        while (writer.Current is { } current)
        {
            writer.Write(tensors[current.Name].Region.Bytes(0, (int)current.ByteLength));
        }

        writer.Commit();
        return path;
    }
}
