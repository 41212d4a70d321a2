using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.PublicApi.Tests;

/// <summary>The verb heal, through the built executable, on the embedded model.</summary>
public sealed class HealCliTests
{
    private static readonly string[] AdapterFiles = ["adapter_config.json", "adapter_model.safetensors"];

    private static readonly string[] Small = ["--rank", "2", "--epochs", "2", "--batch", "4", "--micro-batch", "2", "--warmup", "2", "--cutoff", "200", "--learning-rate", "1e-3"];

    [Fact]
    public void Heal_OfInstructions_WritesAnAdapterThatHelpsAndAChart()
    {
        using TempFolder folder = new();
        string data = folder.Write("data.json", Instructions(24));
        string output = folder.File("adapter");
        Tool.Outcome outcome = Tool.Vicuna(["heal", "--data", data, "--out", output, "--json", .. Small]);
        Assert.True(outcome.ExitCode == 0, outcome.Error);
        JsonElement[] lines = [.. outcome.Lines.Select(Json)];
        JsonElement done = lines[^1];
        Assert.Equal(12, lines.Length - 1);
        Assert.Equal(Enumerable.Range(1, 12), lines[..^1].Select(line => line.GetProperty("step").GetInt32()));
        Assert.All(lines[..^1], line => Assert.True(
            line.GetProperty("loss").GetDouble() > 0 && line.GetProperty("learningRate").GetDouble() >= 0 && line.GetProperty("tokensPerSecond").GetDouble() > 0));
        Assert.True(done.GetProperty("done").GetBoolean());
        Assert.Equal((12, false), (done.GetProperty("steps").GetInt32(), done.GetProperty("wasFinished").GetBoolean()));
        Assert.Equal((22, 2), (done.GetProperty("trainingSamples").GetInt32(), done.GetProperty("validationSamples").GetInt32()));
        double[] validations = [.. done.GetProperty("validations").EnumerateArray().Select(validation => validation.GetProperty("loss").GetDouble())];
        Assert.True(validations[^1] < validations[0], $"{validations[0]} to {validations[^1]}");
        Assert.All(AdapterFiles, file => Assert.True(File.Exists(Path.Combine(output, file))));
        string chart = File.ReadAllText(Path.Combine(output, "loss.svg"));
        Assert.Contains("Loss while healing", chart, StringComparison.Ordinal);
        Assert.Contains("held-out loss", chart, StringComparison.Ordinal);
        Assert.EndsWith("</svg>", chart.TrimEnd(), StringComparison.Ordinal);

        outcome = Tool.Vicuna(["heal", "--data", data, "--out", output, .. Small]);
        Assert.Equal(1, outcome.ExitCode);
        Assert.Contains("found adapter_config.json", outcome.Error, StringComparison.Ordinal);
        outcome = Tool.Vicuna(["heal", "--data", data, "--out", output, "--resume", .. Small]);
        Assert.Equal(0, outcome.ExitCode);
        Assert.Contains("finished already", outcome.Output, StringComparison.Ordinal);
        outcome = Tool.Vicuna(["heal", "--data", data, "--out", output, "--resume", .. Small, "--seed", "9"]);
        Assert.Equal(1, outcome.ExitCode);
        Assert.Contains("'seed': expected '9', found '0'", Assert.Single(outcome.Error.Trim().Split('\n')), StringComparison.Ordinal);
    }

    [Fact]
    public void Heal_InterruptedAndResumed_EndsWithTheSameBytes()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() || OperatingSystem.IsMacOS(), "Sends SIGINT with kill.");
        using TempFolder folder = new();
        string data = folder.Write("data.json", Instructions(30));
        string[] arguments = ["heal", "--data", data, "--json", "--threads", "1", .. Small, "--out"];
        Tool.Outcome whole = Tool.Vicuna([.. arguments, folder.File("whole")]);
        Assert.True(whole.ExitCode == 0, whole.Error);

        using (Process process = Process.Start(new ProcessStartInfo(Tool.VicunaPath, [.. arguments, folder.File("broken")]) { RedirectStandardOutput = true, RedirectStandardError = true })!)
        {
            for (int line = 0; line < 5; line++)
            {
                Assert.Contains($"\"step\":{line + 1},", process.StandardOutput.ReadLine(), StringComparison.Ordinal);
            }

            using Process kill = Process.Start("kill", ["-INT", process.Id.ToString(CultureInfo.InvariantCulture)])!;
            kill.WaitForExit();
            process.StandardOutput.ReadToEnd();
            Assert.True(process.WaitForExit(TimeSpan.FromSeconds(60)));
            Assert.Equal(130, process.ExitCode);
            Assert.Equal("vicuna: interrupted.", process.StandardError.ReadToEnd().Trim());
        }

        Assert.False(File.Exists(Path.Combine(folder.File("broken"), AdapterFiles[0])));
        Tool.Outcome resumed = Tool.Vicuna([.. arguments, folder.File("broken"), "--resume"]);
        Assert.True(resumed.ExitCode == 0, resumed.Error);
        Assert.True(Json(resumed.Lines[^1]).GetProperty("resumedAtStep").GetInt32() >= 5);
        Assert.All(AdapterFiles, file => Assert.Equal(File.ReadAllBytes(Path.Combine(folder.File("whole"), file)), File.ReadAllBytes(Path.Combine(folder.File("broken"), file))));
    }

    [Theory]
    [InlineData("--rank 0")]
    [InlineData("--dropout 1")]
    [InlineData("--learning-rate 0")]
    [InlineData("--kind books")]
    [InlineData("--epochs x")]
    public void Heal_WithAWrongOption_ExitsWith2(string option)
    {
        Tool.Outcome outcome = Tool.Vicuna(["heal", "--data", "x", "--out", "y", .. option.Split(' ')]);
        Assert.Equal(2, outcome.ExitCode);
        Assert.Contains(option.Split(' ')[option.StartsWith("--kind", StringComparison.Ordinal) ? 1 : 0], outcome.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Heal_WithBrokenData_NamesTheRecordOrSkipsIt()
    {
        using TempFolder folder = new();
        string data = folder.Write("data.jsonl", "{\"instruction\":\"a\",\"output\":\"b\"}\n{\"instruction\":7}\n");
        Tool.Outcome outcome = Tool.Vicuna("heal", "--data", data, "--out", folder.File("out"));
        Assert.Equal(1, outcome.ExitCode);
        Assert.Equal($"vicuna: {data}: line 2: 'instruction': expected a string, found Number", outcome.Error.Trim());
        Assert.False(Directory.Exists(folder.File("out")));
        outcome = Tool.Vicuna(["heal", "--data", data, "--out", folder.File("out"), "--skip-broken", .. Small]);
        Assert.True(outcome.ExitCode == 0, outcome.Error);
        Assert.Contains("of 2 records 1 are damaged", outcome.Error, StringComparison.Ordinal);
        outcome = Tool.Vicuna("heal", "--data", folder.Write("none.json", "[]"), "--kind", "alpaca", "--out", folder.File("none"));
        Assert.Equal(1, outcome.ExitCode);
        Assert.Contains("expected one or more records", outcome.Error, StringComparison.Ordinal);
    }

    private static string Instructions(int count) => "[" + string.Join(",\n", Enumerable.Range(0, count).Select(i =>
        $"{{\"instruction\":\"What is {i % 7} and {i % 5}?\",\"input\":\"{(i % 3 == 0 ? "Say it." : "")}\",\"output\":\"It is {(i % 7) + (i % 5)}.\"}}")) + "]";

    private static JsonElement Json(string text)
    {
        using JsonDocument document = JsonDocument.Parse(text);
        return document.RootElement.Clone();
    }
}
