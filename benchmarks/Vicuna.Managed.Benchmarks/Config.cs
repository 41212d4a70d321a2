using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Exporters.Json;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Toolchains.InProcess.Emit;

namespace Vicuna.Managed.Benchmarks;

/// <summary>
/// How benchmarks are run: in this process, because nothing but the library's own code is compared, and with results as JSON too. The
/// environment variable VICUNA_BENCHMARKS chooses between <c>short</c> (3 rounds, the default) and <c>standard</c> (15 rounds, for numbers that
/// are published).
/// </summary>
public abstract class Config : ManualConfig
{
    /// <summary>A configuration with columns of its own.</summary>
    protected Config(params IColumn[] columns)
    {
        bool isStandard = Environment.GetEnvironmentVariable("VICUNA_BENCHMARKS") == "standard";
        Job job = isStandard ? Job.Default.WithIterationCount(15).WithId("Standard") : Job.ShortRun.WithId("Short");
        AddJob(job.WithToolchain(InProcessEmitToolchain.Instance));
        AddColumn(columns);
        AddExporter(JsonExporter.Full);
        HideColumns(Column.Error, Column.Job, Column.Toolchain, Column.IterationCount, Column.LaunchCount, Column.WarmupCount);
    }

    /// <summary>Times alone.</summary>
    public sealed class Plain : Config
    {
    }
}
