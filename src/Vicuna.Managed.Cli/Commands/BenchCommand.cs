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
        Option<int?> promptTokens = OptionsOf.Int(
            "--prompt-tokens", $"Tokens of the prompt. Default: {Defaults.PromptTokens}, less where the context is shorter.", 1, int.MaxValue);
        Option<int?> newTokens = OptionsOf.Int("--new-tokens", $"Tokens decoded after the prompt. Default: {Defaults.NewTokens}.", 1, int.MaxValue);
        Option<int?> batch = OptionsOf.Int("--batch", $"Sequences that are decoded together. Default: {Defaults.Batch}.", 1, 4096);
        Option<int?> repeat = OptionsOf.Int("--repeat", $"How often it is measured; results are medians. Default: {Defaults.Repeat}.", 1, 1000);
        Command command = new("bench", "Measures the speed, beside the machine's own limits measured in the same run.")
        {
            promptTokens, newTokens, batch, repeat,
        };
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
                Console.Error.WriteLine(
                    $"vicuna: warning: little memory is free: its speed was measured with {result.MemoryReadBytes >> 20} MiB, not {FullMemoryRead >> 20}.");
            }

            string name = common.ModelPath(parsed) ?? "pico-vicuna (embedded)";
            if (common.Json(parsed))
            {
                string quantize = common.Quantize(parsed).ToString().ToLowerInvariant();
                WriteJson(name, quantize, common.KeyValues(parsed).ToString().ToLowerInvariant(), options, result, loadSeconds);
            }
            else
            {
                WriteText(name, model.Info.WeightBytes, options, result, loadSeconds);
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

    // The contract's keys, in its order; then what tells one run from another.
    private static void WriteJson(string model, string quantize, string cache, SpeedTestOptions options, SpeedTestResult result, double loadSeconds) =>
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
            json.WriteString("quantize", quantize);
            json.WriteString("kv", cache);
            json.WriteNumber("batch", result.Batch);
            json.WriteNumber("allocatedBytesPerToken", result.AllocatedBytesPerToken);
            json.WriteString("model", model);
            json.WriteNumber("weightBytes", result.WeightBytesPerPass);
            json.WriteNumber("promptTokens", options.PromptTokens);
            json.WriteNumber("newTokens", options.NewTokens);
            json.WriteNumber("repeat", options.Repeat);
            json.WriteNumber("prefillThreads", result.PrefillThreads);
        });

    private static void WriteText(string model, long weightBytes, SpeedTestOptions options, SpeedTestResult result, double loadSeconds)
    {
        Row("model", $"{model}, {result.WeightBytesPerPass / 1e6:N0} MB of weights a pass, loaded in {loadSeconds:0.00} s");
        Row("machine", $"{result.Threads} threads ({result.PrefillThreads} on prompts), {NameOf(result.InstructionSet)}");
        Row("limits", $"reads {result.MemoryReadGBPerSecond:0.0} GB/s, computes {result.FmaPeakGFlops:0.0} GFLOP/s in f32");
        Row("prefill", $"{result.PrefillTokensPerSecond:0.0} tokens/s of {options.PromptTokens}: {result.PrefillGFlops:0.0} GFLOP/s, {result.PrefillOverFmaPeak:0.00} x the limit");
        Row("decode", $"{result.DecodeTokensPerSecond:0.0} tokens/s of {result.Batch} x {options.NewTokens}: {result.WeightGBPerSecond:0.0} GB/s, {result.DecodeOverMemoryRead:0.00} x the limit");
        Row("memory", $"{result.PeakMemoryBytes / 1e6:N0} MB, {weightBytes / 1e6:N0} of it weights; {result.AllocatedBytesPerToken:0.#} managed bytes a token");
    }

    private static void Row(string name, FormattableString value) => Console.WriteLine($"{name,-8} {FormattableString.Invariant(value)}");

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
