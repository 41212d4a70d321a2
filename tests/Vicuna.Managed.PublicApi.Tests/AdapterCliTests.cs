using System.Text.Json;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.PublicApi.Tests;

/// <summary>Adapters through the built executable.</summary>
public sealed class AdapterCliTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Adapter_AtRunTimeAndMerged_GivesTheGolden()
    {
        string model = Pruned();
        string adapter = GoldenAdapter();
        JsonElement golden = Json(File.ReadAllText(SharedFolder.Require("goldens/lora.json")));
        JsonElement row = Json(File.ReadAllText(SharedFolder.Require("goldens/stories260k.json"))).GetProperty("sensitivity").GetProperty("calibration_ids")[9];
        string ids = string.Join(',', row.EnumerateArray().Select(id => id.GetInt32()));
        double[] expected = Numbers(golden.GetProperty("merged_last_logits"));
        Assert.True(Worst(expected, Logits(model, "--adapter", adapter)) <= 1e-3);
        Assert.True(Worst(expected, Logits(model, "--adapter", $"{adapter}=0.5", "--adapter", $"{adapter}=0.5")) <= 1e-3);
        Assert.True(Worst(expected, Logits(model)) > 0.1);
        Assert.Equal(Logits(model), Logits(model, "--adapter", $"{adapter}=0"));

        string idsFile = _folder.Write("ids.json", $"[[{ids}]]");
        JsonElement measured = Done("perplexity", "--model", model, "--ids-file", idsFile, "--adapter", adapter, "--json");
        Assert.Equal(golden.GetProperty("nll_after").GetDouble(), measured.GetProperty("nll").GetDouble(), 1e-4);

        string merged = _folder.File("merged");
        Assert.Equal(merged, Done("merge", "--model", model, "--adapter", adapter, "--out", merged, "--json").GetProperty("path").GetString());
        Assert.True(Worst(expected, Logits(merged)) <= 1e-3);
        // Once more is refused: what is there is never overwritten.
        Tool.Outcome again = Tool.Vicuna("merge", "--model", model, "--adapter", adapter, "--out", merged);
        Assert.Equal(1, again.ExitCode);
        Assert.Contains(merged, again.Error, StringComparison.Ordinal);

        string[] Generate(string path, params string[] more) =>
            Tool.Vicuna(["generate", "--model", path, "--ids", "1,300,301", "--max-new-tokens", "20", "--temperature", "0", "--json", .. more]).Lines[..^1];
        Assert.Equal(Generate(merged), Generate(model, "--adapter", adapter));
        Assert.NotEqual(Generate(model), Generate(model, "--adapter", adapter));

        double[] Logits(string path, params string[] more) => Numbers(Done(["logits", "--model", path, "--ids", ids, "--json", .. more]).GetProperty("logits"));
    }

    [Fact]
    public void Adapter_ThatDoesNotFit_EndsWithOneLine()
    {
        string adapter = GoldenAdapter();
        foreach (string[] arguments in new string[][]
        {
            ["chat", "--message", "Hi", "--adapter", adapter],
            ["logits", "--ids", "1", "--adapter", _folder.File("none")],
            ["merge", "--adapter", adapter, "--out", _folder.File("merged")],
        })
        {
            Tool.Outcome outcome = Tool.Vicuna(arguments);
            Assert.Equal(1, outcome.ExitCode);
            Assert.Single(outcome.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        }

        Assert.False(Directory.Exists(_folder.File("merged")));
        Assert.Equal(2, Tool.Vicuna("merge", "--out", _folder.File("merged")).ExitCode);
        Assert.Equal(2, Tool.Vicuna("merge", "--adapter", adapter).ExitCode);
        Assert.Equal(2, Tool.Vicuna("logits", "--ids", "1", "--adapter", "").ExitCode);
        Assert.Equal(1, Tool.Vicuna("logits", "--ids", "1", "--adapter", $"{adapter}=NaN").ExitCode);
    }

    private static double Worst(double[] a, double[] b) => a.Zip(b, (x, y) => Math.Abs(x - y)).Max();

    private static JsonElement Json(string text) => JsonDocument.Parse(text).RootElement;

    private static double[] Numbers(JsonElement array) => [.. array.EnumerateArray().Select(item => item.GetDouble())];

    private static JsonElement Done(params string[] arguments)
    {
        Tool.Outcome outcome = Tool.Vicuna(arguments);
        Assert.True(outcome.ExitCode == 0, outcome.Error);
        return Json(outcome.Lines[^1]);
    }

    private string Pruned()
    {
        string path = _folder.File("pruned");
        Done("prune", "--model", SharedFolder.Require("models/stories260k"), "--remove", "3", "--out", path, "--json");
        return path;
    }

    private string GoldenAdapter()
    {
        string path = _folder.File("adapter");
        Directory.CreateDirectory(path);
        File.Copy(SharedFolder.Require("goldens/lora/end.safetensors"), Path.Combine(path, "adapter_model.safetensors"));
        File.WriteAllText(Path.Combine(path, "adapter_config.json"), """{"peft_type":"LORA","r":4,"lora_alpha":8,"target_modules":"all-linear"}""");
        return path;
    }
}
