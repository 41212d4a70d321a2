using System.Text.Json;
using Vicuna.Managed.Compression;

namespace Vicuna.Managed.Tests.Support;

/// <summary>The end of the golden LoRA run: a model without its fourth block, its adapter, and what the two compute.</summary>
internal sealed record LoraGolden(string Model, string Adapter, int[] Ids, double[] LastLogits, double NllBefore, double NllAfter)
{
    /// <summary>The model with all its blocks.</summary>
    public const string Whole = "models/stories260k";

    /// <summary>The blocks that are gone.</summary>
    public static IReadOnlyList<int> Removed { get; } = [3];

    /// <summary>Writes model and adapter into a folder.</summary>
    public static LoraGolden Load(TempFolder folder)
    {
        using JsonDocument lora = JsonDocument.Parse(File.ReadAllText(SharedFolder.Require("goldens/lora.json")));
        using JsonDocument stories = JsonDocument.Parse(File.ReadAllText(SharedFolder.Require("goldens/stories260k.json")));
        string adapter = folder.File("end");
        Directory.CreateDirectory(adapter);
        File.Copy(SharedFolder.Require("goldens/lora/end.safetensors"), Path.Combine(adapter, "adapter_model.safetensors"));
        File.WriteAllText(
            Path.Combine(adapter, "adapter_config.json"), """{"peft_type":"LORA","r":4,"lora_alpha":8,"bias":"none","target_modules":"all-linear"}""");
        return new LoraGolden(
            DepthPruner.Write(SharedFolder.Require(Whole), folder.File("pruned"), Removed).Path,
            adapter,
            [.. stories.RootElement.GetProperty("sensitivity").GetProperty("calibration_ids")[9].EnumerateArray().Select(id => id.GetInt32())],
            [.. lora.RootElement.GetProperty("merged_last_logits").EnumerateArray().Select(value => value.GetDouble())],
            lora.RootElement.GetProperty("nll_before").GetDouble(),
            lora.RootElement.GetProperty("nll_after").GetDouble());
    }
}
