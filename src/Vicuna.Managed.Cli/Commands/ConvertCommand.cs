using System.CommandLine;
using System.Globalization;
using Vicuna.Managed.Compression;
using Vicuna.Managed.Weights;

namespace Vicuna.Managed.Cli.Commands;

/// <summary>A checkpoint in another container or type.</summary>
internal static class ConvertCommand
{
    private static readonly Dictionary<string, TensorType> Types = new(StringComparer.Ordinal)
    {
        ["f32"] = TensorType.F32,
        ["f16"] = TensorType.F16,
        ["bf16"] = TensorType.BF16,
        ["q8_0"] = TensorType.Q8_0,
        ["q4_0"] = TensorType.Q4_0,
    };

    /// <summary>Makes the verb.</summary>
    public static Command Create()
    {
        Option<string> container = new("--to") { Description = "The container: gguf or safetensors.", Required = true };
        container.AcceptOnlyFromAmong("gguf", "safetensors");
        Option<string> type = new("--type") { Description = "How weights are stored: f32, f16, bf16, or in gguf also q8_0 or q4_0.", Required = true };
        type.AcceptOnlyFromAmong([.. Types.Keys]);
        Option<string> output = new("--out")
        {
            Description = "The .gguf file or the folder to write; nothing is overwritten.",
            HelpName = "PATH",
            Required = true,
        };
        Command command = new("convert", "Writes a checkpoint in another container or type.") { container, type, output };
        CommonOptions common = new(command, computes: false);
        command.SetAction((parsed, cancellationToken) =>
        {
            ConvertOptions options = new()
            {
                Container = parsed.GetValue(container) == "gguf" ? ModelContainer.Gguf : ModelContainer.Safetensors,
                Type = Types[parsed.GetValue(type)!],
            };
            if (options.Container == ModelContainer.Safetensors && options.Type.BlockElements() > 1)
            {
                throw new WrongUsageException($"--type {parsed.GetValue(type)}: expected f32, f16 or bf16 for safetensors.");
            }

            using ModelFolder model = ModelFolder.Open(common.ModelPath(parsed));
            ConvertResult result = WritingProgress.Show(progress =>
                CheckpointConverter.Convert(model.Path, parsed.GetValue(output)!, options, progress, cancellationToken));
            if (common.Json(parsed))
            {
                JsonOutput.Line(line =>
                {
                    line.WriteString("path", result.Path);
                    line.WriteNumber("bytes", result.Bytes);
                    line.WriteNumber("tensors", result.Tensors);
                });
            }
            else
            {
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{result.Path}: {result.Tensors:N0} tensors, {result.Bytes:N0} bytes"));
            }

            return Task.CompletedTask;
        });
        return command;
    }
}
