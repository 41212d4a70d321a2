using BenchmarkDotNet.Attributes;
using BenchmarkDotNet.Running;

namespace Vicuna.Managed.Benchmarks.Models;

/// <summary>
/// Prefill and decode of a whole model: pico-vicuna of the samples, or the one that the environment variable VICUNA_BENCHMARK_MODEL names, for
/// example a folder of SyntheticCheckpoint. All threads, the best instructions.
/// </summary>
[Config(typeof(Columns))]
public class DecodeBenchmarks
{
    private const int PromptTokens = 128;
    private const int NewTokens = 16;

    private LanguageModel _model = null!;
    private Generator _generator = null!;
    private int[] _prompt = null!;

    [GlobalSetup]
    public void Setup()
    {
        _model = LanguageModel.Load(ModelFolder());
        _generator = _model.CreateGenerator(new GenerationOptions { Temperature = 0 });
        _prompt = [.. Enumerable.Range(0, PromptTokens).Select(i => 3 + (i * 7919 % (_model.Config.VocabSize - 3)))];
        _generator.Append(_prompt);
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        _generator.Dispose();
        _model.Dispose();
    }

    /// <summary>A prompt from nothing to the first token's logits.</summary>
    [Benchmark]
    public void Prefill()
    {
        _generator.Rewind(0);
        _generator.Append(_prompt);
    }

    /// <summary>Tokens after the prompt, one by one. The first pass runs the prompt's last token again, the last token's own pass is not needed.</summary>
    [Benchmark]
    public void Decode()
    {
        _generator.Rewind(PromptTokens);
        for (int i = 0; i < NewTokens; i++)
        {
            _generator.Next();
        }
    }

    private static string ModelFolder()
    {
        if (Environment.GetEnvironmentVariable("VICUNA_BENCHMARK_MODEL") is { Length: > 0 } named)
        {
            return named;
        }

        const string sample = "samples/models/pico-vicuna";
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (Directory.Exists(Path.Combine(folder.FullName, sample)))
            {
                return Path.Combine(folder.FullName, sample);
            }
        }

        throw new DirectoryNotFoundException($"No folder above {AppContext.BaseDirectory} holds {sample}: set VICUNA_BENCHMARK_MODEL.");
    }

    private static double Tokens(BenchmarkCase benchmark) => benchmark.Descriptor.WorkloadMethod.Name == nameof(Prefill) ? PromptTokens : NewTokens;

    // A prompt takes the weights through the caches once per chunk, which says little; a decoded token takes them all once.
    private static double Gigabytes(BenchmarkCase benchmark) =>
        benchmark.Descriptor.WorkloadMethod.Name == nameof(Decode) ? NewTokens * WeightBytes.Value / 1e9 : 0;

    private static readonly Lazy<long> WeightBytes = new(() => LanguageModel.Inspect(ModelFolder()).WeightBytes);

    private sealed class Columns() : Config(
        new RateColumn("tokens/s", "Tokens of the prompt, or new tokens, per second", Tokens),
        new RateColumn("GB/s", "Bytes of stored weights per second while decoding, in 10^9; compare with MemoryRead", Gigabytes));
}
