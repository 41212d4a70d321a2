using System.CommandLine;
using System.Globalization;
using Vicuna.Managed.Models;
using Vicuna.Managed.Weights;

namespace Vicuna.Managed.Cli.Commands;

/// <summary>What a checkpoint is.</summary>
internal static class InspectCommand
{
    /// <summary>Makes the verb.</summary>
    public static Command Create()
    {
        Command command = new("inspect", "Tells what a checkpoint is and checks that it is whole, without loading the weights.");
        CommonOptions common = new(command, computes: false, sizes: true);
        command.SetAction(parsed =>
        {
            CheckpointInfo info = Read(common.ModelPath(parsed)) with
            {
                KeyValueType = common.KeyValues(parsed),
                Quantization = common.Quantize(parsed),
                ExactProducts = common.Exact(parsed),
            };
            if (common.Json(parsed))
            {
                WriteJson(info);
            }
            else
            {
                WriteText(info);
            }
        });
        return command;
    }

    private static CheckpointInfo Read(string? path)
    {
        if (path is not null)
        {
            return LanguageModel.Inspect(path);
        }

        using LanguageModel model = LanguageModel.LoadFiles(CommonOptions.EmbeddedModel());
        return model.Info with { Path = "pico-vicuna (embedded)" };
    }

    private static void WriteJson(CheckpointInfo info) => JsonOutput.Line(json =>
    {
        ModelConfig config = info.Config;
        json.WriteString("path", info.Path);
        json.WriteString("format", info.Format);
        json.WriteString("architecture", config.ModelType);
        json.WriteNumber("parameters", info.ParameterCount);
        json.WriteNumber("layers", config.NumHiddenLayers);
        json.WriteNumber("hidden", config.HiddenSize);
        json.WriteNumber("intermediate", config.IntermediateSize);
        json.WriteNumber("heads", config.NumAttentionHeads);
        json.WriteNumber("kvHeads", config.NumKeyValueHeads);
        json.WriteNumber("headDim", config.HeadDim);
        json.WriteNumber("vocabulary", config.VocabSize);
        json.WriteNumber("context", config.MaxPositionEmbeddings);
        json.WriteStartObject("dtypes");
        foreach ((TensorType type, int count) in info.TensorTypes.OrderBy(pair => pair.Key))
        {
            json.WriteNumber(type.ToString(), count);
        }

        json.WriteEndObject();
        json.WriteNumber("weightBytes", info.WeightBytes);
        json.WriteNumber("kvBytesPerToken", info.KeyValueBytesPerToken);
        json.WriteStartArray("tensors");
        foreach (TensorInfo tensor in info.Tensors)
        {
            json.WriteStartObject();
            json.WriteString("name", tensor.Name);
            json.WriteString("dtype", tensor.Type.ToString());
            json.WriteStartArray("shape");
            foreach (long dimension in tensor.Shape)
            {
                json.WriteNumberValue(dimension);
            }

            json.WriteEndArray();
            json.WriteNumber("bytes", tensor.ByteLength);
            json.WriteString("file", tensor.FileName);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartArray("warnings");
        foreach (string warning in info.Warnings)
        {
            json.WriteStringValue(warning);
        }

        json.WriteEndArray();
        json.WriteNumber("loadedWeightBytes", info.EstimateMemory(1).WeightBytes);
    });

    private static void WriteText(CheckpointInfo info)
    {
        ModelConfig config = info.Config;
        MemoryEstimate memory = info.EstimateMemory(config.MaxPositionEmbeddings);
        Row("path", info.Path);
        Row("format", info.Format);
        Row("architecture", config.ModelType);
        Row("parameters", Number(info.ParameterCount));
        Row("shape", $"{config.NumHiddenLayers} layers, hidden {config.HiddenSize}, intermediate {config.IntermediateSize}");
        Row("attention", $"{config.NumAttentionHeads} heads, {config.NumKeyValueHeads} key-value heads, {config.HeadDim} elements each");
        Row("vocabulary", Number(config.VocabSize));
        Row("context", $"{Number(config.MaxPositionEmbeddings)} tokens");
        Row("types", string.Join(", ", info.TensorTypes.OrderBy(pair => pair.Key).Select(pair => $"{pair.Key} ({pair.Value} tensors)")));
        Row("weights", Size(info.WeightBytes));
        Row("keys, values", $"{Size(info.KeyValueBytesPerToken)} per token");
        Row("memory", $"{Size(memory.TotalBytes)} with one sequence of {Number(config.MaxPositionEmbeddings)} tokens ({Size(memory.WeightBytes)} of it weights)");
        foreach (string warning in info.Warnings)
        {
            Console.Error.WriteLine($"vicuna: warning: {warning}");
        }

        Console.WriteLine("tensors");
        int width = info.Tensors.Max(tensor => tensor.Name.Length);
        foreach (TensorInfo tensor in info.Tensors)
        {
            Console.WriteLine($"  {tensor.Name.PadRight(width)}  {tensor.Type,-5} [{string.Join(", ", tensor.Shape)}]");
        }
    }

    private static void Row(string name, string value) => Console.WriteLine($"{name,-13} {value}");

    private static string Number(long value) => value.ToString("N0", CultureInfo.InvariantCulture);

    private static string Size(long bytes) => bytes switch
    {
        >= 1_000_000_000 => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e9:0.00} GB"),
        >= 1_000_000 => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e6:0.00} MB"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e3:0.00} kB"),
    };
}
