using System.CommandLine;
using System.Diagnostics;
using System.Globalization;

namespace Vicuna.Managed.Cli.Commands;

/// <summary>How fast a model runs, beside the machine's own limits.</summary>
internal static class BenchCommand
{
    private const long FullMemoryRead = 2L << 30;
    private static readonly SpeedTestOptions Defaults = new();

    /// <summary>Makes the verb.</summary>
    public static Command Create()
    {
        Option<int?> promptTokens = OptionsOf.Int("--prompt-tokens", $"Tokens of the prompt. Default: {Defaults.PromptTokens}, less where the context is shorter.", 1, int.MaxValue);
        Option<int?> newTokens = OptionsOf.Int("--new-tokens", $"Tokens decoded after the prompt. Default: {Defaults.NewTokens}.", 1, int.MaxValue);
        Option<int?> batch = OptionsOf.Int("--batch", "Sequences that are run together. This version has 1.", 1, 1);
        Option<int?> repeat = OptionsOf.Int("--repeat", $"How often it is measured; results are medians. Default: {Defaults.Repeat}.", 1, 1000);
        Command command = new("bench", "Measures the speed, beside the machine's own limits measured in the same run.") { promptTokens, newTokens, batch, repeat };
        CommonOptions common = new(command, computes: true);
        command.SetAction((parsed, cancellationToken) =>
        {
            long start = Stopwatch.GetTimestamp();
            using LanguageModel model = common.Load(parsed, cancellationToken);
            double loadSeconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
            SpeedTestOptions options = new()
            {
                NewTokens = parsed.GetValue(newTokens) ?? Defaults.NewTokens,
                Batch = parsed.GetValue(batch) ?? Defaults.Batch,
                Repeat = parsed.GetValue(repeat) ?? Defaults.Repeat,
            };
            options = options with { PromptTokens = parsed.GetValue(promptTokens) ?? FittingPrompt(model, options) };
            SpeedTestResult result = SpeedTest.Run(model, options, ProgressOf(options.Repeat), cancellationToken);
            if (result.MemoryReadBytes < FullMemoryRead)
            {
                Console.Error.WriteLine($"vicuna: warning: little memory is free: its speed was measured with {Text(result.MemoryReadBytes / 1e6, "0")} MB, not {Text(FullMemoryRead / 1e6, "0")}.");
            }

            string name = common.ModelPath(parsed) ?? "pico-vicuna (embedded)";
            if (common.Json(parsed))
            {
                JsonOutput.Line(json =>
                {
                    json.WriteNumber("prefillTokensPerSecond", result.PrefillTokensPerSecond);
                    json.WriteNumber("decodeTokensPerSecond", result.DecodeTokensPerSecond);
                    json.WriteNumber("weightGBPerSecond", result.WeightGBPerSecond);
                    json.WriteNumber("memoryReadGBPerSecond", result.MemoryReadGBPerSecond);
                    json.WriteNumber("fmaPeakGFlops", result.FmaPeakGFlops);
                    json.WriteNumber("prefillGFlops", result.PrefillGFlops);
                    json.WriteNumber("decodeOverMemoryRead", result.DecodeOverMemoryRead);
                    json.WriteNumber("prefillOverFmaPeak", result.PrefillOverFmaPeak);
                    json.WriteNumber("threads", result.Threads);
                    json.WriteString("isa", NameOf(result.InstructionSet));
                    json.WriteNumber("loadSeconds", loadSeconds);
                    json.WriteNumber("peakMemoryBytes", result.PeakMemoryBytes);
                    json.WriteString("quantize", common.Quantize(parsed));
                    json.WriteString("kv", common.KeyValues(parsed).ToString().ToLowerInvariant());
                    json.WriteNumber("batch", result.Batch);
                    json.WriteNumber("allocatedBytesPerToken", result.AllocatedBytesPerToken);
                    json.WriteString("model", name);
                    json.WriteNumber("weightBytes", result.WeightBytesPerPass);
                    json.WriteNumber("promptTokens", options.PromptTokens);
                    json.WriteNumber("newTokens", options.NewTokens);
                    json.WriteNumber("repeat", options.Repeat);
                    json.WriteNumber("prefillThreads", result.PrefillThreads);
                });
            }
            else
            {
                WriteText(name, model, options, result, loadSeconds);
            }

            return Task.CompletedTask;
        });
        return command;
    }

    // The default prompt is cut for a model with a short context; one that was asked for never is.
    private static int FittingPrompt(LanguageModel model, SpeedTestOptions options)
    {
        int fitting = model.ContextLength - options.NewTokens;
        if (fitting < 1 || fitting >= options.PromptTokens)
        {
            return options.PromptTokens;
        }

        Console.Error.WriteLine($"vicuna: the context holds {model.ContextLength} tokens: the prompt has {fitting}, not {options.PromptTokens}.");
        return fitting;
    }

    private static void WriteText(string name, LanguageModel model, SpeedTestOptions options, SpeedTestResult result, double loadSeconds)
    {
        Row("model", $"{name}, {Text(result.WeightBytesPerPass / 1e6, "N0")} MB of weights a pass, loaded in {Text(loadSeconds, "0.00")} s");
        Row("machine", $"{(result.PrefillThreads == result.Threads ? $"{result.Threads}" : $"{result.PrefillThreads} and {result.Threads}")} threads, {NameOf(result.InstructionSet)}");
        Row("limits", $"{Text(result.MemoryReadGBPerSecond, "0.0")} GB/s read, {Text(result.FmaPeakGFlops, "0.0")} GFLOP/s");
        Row(
            "prefill",
            $"{Text(result.PrefillTokensPerSecond, "0.0")} tokens/s ({options.PromptTokens} tokens), {Text(result.PrefillGFlops, "0.0")} GFLOP/s = {Text(result.PrefillOverFmaPeak, "0.00")} x the peak");
        Row(
            "decode",
            $"{Text(result.DecodeTokensPerSecond, "0.0")} tokens/s ({options.NewTokens} tokens), {Text(result.WeightGBPerSecond, "0.0")} GB/s = {Text(result.DecodeOverMemoryRead, "0.00")} x reading");
        Row("memory", $"{Text(result.PeakMemoryBytes / 1e6, "N0")} MB at most of which {Text(model.Info.WeightBytes / 1e6, "N0")} MB weights, {Text(result.AllocatedBytesPerToken, "0.#")} managed bytes a token");
    }

    private static void Row(string name, string value) => Console.WriteLine($"{name,-8} {value}");

    private static string Text(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);

    private static string NameOf(InstructionSet set) => set switch
    {
        InstructionSet.Avx512 => "avx512",
        InstructionSet.Avx2 => "avx2",
        _ => "scalar",
    };

    private static Progress<int>? ProgressOf(int repeat) => Console.IsErrorRedirected
        ? null
        : new Progress<int>(done => Console.Error.Write(done < repeat ? $"\r{done} of {repeat} repetitions" : "\r\u001b[K"));
}
