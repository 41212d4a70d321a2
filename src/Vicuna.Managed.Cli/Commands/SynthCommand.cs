using System.CommandLine;
using System.Globalization;
using Vicuna.Managed.Checkpoints;

namespace Vicuna.Managed.Cli.Commands;

/// <summary>A checkpoint with real shapes and random weights.</summary>
internal static class SynthCommand
{
    /// <summary>Makes the verb.</summary>
    public static Command Create()
    {
        Option<string> preset = new("--preset") { Description = $"The shape: {string.Join(", ", SyntheticCheckpoint.Presets)}.", Required = true };
        preset.AcceptOnlyFromAmong([.. SyntheticCheckpoint.Presets]);
        Option<string> output = new("--out") { Description = "The folder to write; it must not exist, or be empty.", HelpName = "DIR", Required = true };
        Option<long?> seed = OptionsOf.Long("--seed", "Key of the random weights. Default: 0.");
        Option<bool> json = new("--json") { Description = "Print JSON." };
        Command command = new("synth", "Writes a checkpoint with real shapes and random F16 weights, to try a size without a download.") { preset, output, seed, json };
        command.SetAction((parsed, cancellationToken) =>
        {
            SyntheticCheckpointInfo info = WritingProgress.Show(progress =>
                SyntheticCheckpoint.Write(parsed.GetValue(preset)!, parsed.GetValue(output)!, parsed.GetValue(seed) ?? 0, progress, cancellationToken));
            if (parsed.GetValue(json))
            {
                JsonOutput.Line(line =>
                {
                    line.WriteString("path", info.Path);
                    line.WriteNumber("parameters", info.Parameters);
                    line.WriteNumber("bytes", info.Bytes);
                });
            }
            else
            {
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{info.Path}: {info.Parameters:N0} parameters, {info.Bytes:N0} bytes"));
            }

            return Task.CompletedTask;
        });
        return command;
    }
}
