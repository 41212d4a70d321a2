using System.Diagnostics;
using System.Text.Json;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.PublicApi.Tests;

/// <summary>The tool's contract, through the built executable.</summary>
public sealed class CliTests
{
    private const double Tolerance = 2e-4;

    public static TheoryData<string, string, string> Containers => new()
    {
        { "models/stories260k", "goldens/stories260k.json", "prompts" },
        { "models/gguf/stories260k-f32.gguf", "goldens/stories260k.json", "prompts" },
        { "models/tiny-vicuna-f16-sharded", "goldens/tiny-vicuna.json", "cases" },
        { "models/tiny-vicuna-bin", "goldens/tiny-vicuna.json", "cases" },
        { "models/tiny-vicuna-bf16", "goldens/tiny-vicuna.json", "bf16_cases" },
        { "models/gguf/tiny-vicuna-Q4_K_M.gguf", "goldens/gguf.json", "tiny-vicuna-Q4_K_M.gguf" },
    };

    [Theory]
    [MemberData(nameof(Containers))]
    public void Logits_OfEveryContainer_AreTheGoldens(string model, string golden, string key)
    {
        JsonElement item = Json(File.ReadAllText(SharedFolder.Require(golden))).GetProperty(key);
        item = item.ValueKind == JsonValueKind.Array ? item[0] : item;
        double[] expected = Numbers(item.GetProperty("last_logits"));
        double rms = Math.Sqrt(expected.Average(value => value * value));
        string ids = string.Join(',', Numbers(item.GetProperty("ids")));
        double[] last = Numbers(Done("logits", "--model", SharedFolder.Require(model), "--ids", ids, "--json").GetProperty("logits"));
        Assert.Equal(expected.Length, last.Length);
        Assert.True(expected.Zip(last, (a, b) => Math.Abs(a - b)).Max() <= Tolerance * rms);

        JsonElement all = Done("logits", "--model", SharedFolder.Require(model), "--ids", ids, "--all", "--json").GetProperty("logits");
        Assert.Equal(item.GetProperty("ids").GetArrayLength(), all.GetArrayLength());
        Assert.Equal(last, Numbers(all[all.GetArrayLength() - 1]));
    }

    [Theory]
    [MemberData(nameof(Containers))]
    public void Inspect_OfEveryContainer_TellsWhatItIs(string model, string golden, string key)
    {
        _ = SharedFolder.Require(golden) + key;
        JsonElement info = Done("inspect", "--model", SharedFolder.Require(model), "--json");
        bool stories = model.Contains("stories", StringComparison.Ordinal);
        Assert.Equal(model.EndsWith(".gguf", StringComparison.Ordinal) ? "gguf" : model.EndsWith("bin", StringComparison.Ordinal) ? "pytorch" : "safetensors", info.GetProperty("format").GetString());
        Assert.Equal("llama", info.GetProperty("architecture").GetString());
        Assert.Equal(stories ? 260_032 : 2_885_888, info.GetProperty("parameters").GetInt64());
        Assert.Equal(stories ? 5 : 4, info.GetProperty("layers").GetInt32());
        Assert.Equal(stories ? 64 : 256, info.GetProperty("hidden").GetInt32());
        Assert.Equal(stories ? 8 : 4, info.GetProperty("heads").GetInt32());
        Assert.Equal(4, info.GetProperty("kvHeads").GetInt32());
        Assert.Equal(512, info.GetProperty("vocabulary").GetInt32());
        Assert.Equal(stories ? 512 : 2048, info.GetProperty("context").GetInt32());
        Assert.Equal(stories ? 47 : 39, info.GetProperty("tensors").GetArrayLength());
        Assert.Equal(info.GetProperty("tensors").GetArrayLength(), info.GetProperty("dtypes").EnumerateObject().Sum(type => type.Value.GetInt32()));
        Assert.Equal(info.GetProperty("weightBytes").GetInt64(), info.GetProperty("tensors").EnumerateArray().Sum(tensor => tensor.GetProperty("bytes").GetInt64()));
        int perToken = stories ? 5 * 2 * 4 * 8 : 4 * 2 * 256;
        Assert.Equal(perToken * 2, info.GetProperty("kvBytesPerToken").GetInt64());
        foreach ((string type, int bytes) in new[] { ("f16", perToken * 2), ("f32", perToken * 4), ("q8", perToken + (info.GetProperty("layers").GetInt32() * 2 * 4 * 4)) })
        {
            Assert.Equal(bytes, Done("inspect", "--model", SharedFolder.Require(model), "--kv", type, "--json").GetProperty("kvBytesPerToken").GetInt64());
        }
    }

    [Fact]
    public void Generate_WithJson_PrintsPiecesAndThenTheWhole()
    {
        JsonElement golden = Json(File.ReadAllText(SharedFolder.Require("goldens/stories260k.json"))).GetProperty("prompts")[1];
        Tool.Outcome outcome = Tool.Vicuna(
            "generate", "--model", SharedFolder.Require("models/stories260k"), "--prompt", golden.GetProperty("text").GetString()!, "--max-new-tokens", "128", "--temperature", "0", "--json");
        Assert.Equal(0, outcome.ExitCode);
        JsonElement[] lines = [.. outcome.Lines.Select(Json)];
        JsonElement done = lines[^1];
        Assert.True(done.GetProperty("done").GetBoolean());
        Assert.Equal(Numbers(golden.GetProperty("greedy_128")), Numbers(done.GetProperty("ids")));
        Assert.Equal(golden.GetProperty("greedy_text").GetString(), golden.GetProperty("text").GetString() + done.GetProperty("text").GetString());
        Assert.Equal("length", done.GetProperty("finishReason").GetString());
        Assert.Equal(golden.GetProperty("ids").GetArrayLength(), done.GetProperty("promptTokens").GetInt32());
        Assert.Equal(128, done.GetProperty("newTokens").GetInt32());
        Assert.True(done.GetProperty("prefillSeconds").GetDouble() > 0 && done.GetProperty("decodeSeconds").GetDouble() > 0);
        Assert.Equal(done.GetProperty("text").GetString(), string.Concat(lines[..^1].Select(line => line.GetProperty("text").GetString())));
        Assert.Equal(Numbers(done.GetProperty("ids")), lines[..^1].SelectMany(line => Numbers(line.GetProperty("ids"))));
        Assert.All(lines[..^1], line => Assert.False(line.TryGetProperty("done", out _)));
    }

    [Fact]
    public void KeyValueType_OfTheMeasuringVerbs_IsF32AndOfTheOthersF16()
    {
        string ids = string.Join(',', Enumerable.Range(300, 40));
        double[] Logits(params string[] more) => Numbers(Done(["logits", "--ids", ids, "--json", .. more]).GetProperty("logits"));
        double[] f32 = Logits("--kv", "f32");
        Assert.Equal(f32, Logits());
        Assert.NotEqual(f32, Logits("--kv", "f16"));
        Assert.NotEqual(f32, Logits("--kv", "q8"));
        foreach (string verb in new[] { "generate", "chat", "logits", "perplexity", "inspect" })
        {
            string help = Tool.Vicuna(verb, "--help").Output;
            Assert.Contains(verb is "logits" or "perplexity" ? "Default: f32" : "Default: f16", string.Join(' ', help.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)));
        }

        string[] Greedy(string type) => Tool.Vicuna("chat", "--message", "What color is the sky?", "--temperature", "0", "--kv", type).Lines;
        Assert.Equal(Greedy("f32"), Greedy("f16"));
        Assert.Equal(Greedy("f32"), Greedy("q8"));
        Assert.Equal(2, Tool.Vicuna("chat", "--kv", "q4").ExitCode);
        Assert.Equal(2, Tool.Vicuna("tokenize", "--text", "a", "--kv", "f16").ExitCode);
    }

    [Theory]
    [InlineData("Q8_0")]
    [InlineData("Q4_0")]
    public void Exact_OfTheMeasuringVerbs_IsTheDefaultUnlessQuantized(string type)
    {
        string model = SharedFolder.Require($"models/gguf/tiny-vicuna-{type}.gguf");
        string ids = string.Join(',', Enumerable.Range(300, 20));
        double[] Logits(params string[] more) => Numbers(Done(["logits", "--model", model, "--ids", ids, "--json", .. more]).GetProperty("logits"));
        double[] exact = Logits("--exact");
        Assert.Equal(exact, Logits());
        Assert.Equal(exact, Logits("--exact", "true", "--quantize", "none"));
        double[] rounded = Logits("--exact", "false");
        Assert.NotEqual(exact, rounded);
        // The file's head is not Q4_0, so that quantizing all of it is another matter there.
        Assert.Equal(type == "Q8_0", rounded.SequenceEqual(Logits("--quantize", type == "Q8_0" ? "q8" : "q4")));
    }

    [Fact]
    public void Quantize_OfEveryVerbThatRuns_Answers()
    {
        string[] Greedy(string type) => Tool.Vicuna("chat", "--message", "What color is the sky?", "--temperature", "0", "--quantize", type).Lines;
        Assert.Equal(["The sky is blue."], Greedy("none"));
        Assert.Equal(Greedy("none"), Greedy("q8"));
        Assert.Equal(Greedy("none"), Greedy("q4"));
        double[] Logits(string type) => Numbers(Done("logits", "--ids", "1,267,289", "--quantize", type, "--json").GetProperty("logits"));
        Assert.NotEqual(Logits("none"), Logits("q8"));
        Assert.NotEqual(Logits("q4"), Logits("q8"));
        long Loaded(string type) => Done("inspect", "--quantize", type, "--json").GetProperty("loadedWeightBytes").GetInt64();
        Assert.Equal(Done("inspect", "--json").GetProperty("weightBytes").GetInt64(), Loaded("none"));
        Assert.True(Loaded("q4") < Loaded("q8") && Loaded("q8") < Loaded("none"));
        foreach (string verb in new[] { "generate", "chat", "logits", "perplexity", "bench", "inspect" })
        {
            string help = string.Join(' ', Tool.Vicuna(verb, "--help").Output.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
            Assert.Contains("--quantize", help, StringComparison.Ordinal);
            Assert.Contains("--exact", help, StringComparison.Ordinal);
            Assert.Equal(verb is "logits" or "perplexity", help.Contains("Default: true without --quantize", StringComparison.Ordinal));
        }
    }

    [Fact]
    public void Chat_OfSeveralMessages_EndsEachTurnWithADoneLine()
    {
        Tool.Outcome outcome = Tool.Vicuna("chat", "--message", "What is 3 plus 4?", "--message", "What color is the sky?", "--temperature", "0", "--json");
        Assert.Equal(0, outcome.ExitCode);
        string[] answers = [.. outcome.Lines.Select(Json).Where(line => line.TryGetProperty("done", out _)).Select(line => line.GetProperty("text").GetString()!)];
        Assert.Equal(["Three plus four is seven.", "The sky is blue."], answers);
    }

    [Fact]
    public void Chat_WithoutMessages_ReadsLinesOfStandardInput()
    {
        Tool.Outcome outcome = Tool.Run(Tool.VicunaPath, ["chat", "--temperature", "0"], workingFolder: null, input: "What is 3 plus 4?\nWhat color is the sky?\n/exit\nignored\n");
        Assert.Equal(0, outcome.ExitCode);
        Assert.Equal(["Three plus four is seven.", "The sky is blue."], outcome.Lines.Select(line => line.Trim()));
    }

    [Fact]
    public void Generate_StopString_NeverLeaks()
    {
        JsonElement done = Json(Tool.Vicuna("chat", "--message", "What is 3 plus 4?", "--temperature", "0", "--stop", "our is", "--json").Lines[^1]);
        Assert.Equal("Three plus f", done.GetProperty("text").GetString());
        Assert.Equal("stop", done.GetProperty("finishReason").GetString());
    }

    [Fact]
    public void TokenizeAndDetokenize_OfAFolderWithATokenizerAlone_AreTheGoldens()
    {
        string folder = SharedFolder.Require("tokenizers/llama");
        Assert.Equal([1738, 6824, 21004], Numbers(Done("tokenize", "--model", folder, "--text", "!!!!!!", "--json").GetProperty("ids")));
        Assert.Equal([1, 15043], Numbers(Done("tokenize", "--model", folder, "--text", "Hello", "--bos", "--json").GetProperty("ids")));
        Assert.Equal([1], Numbers(Done("tokenize", "--model", folder, "--text", "", "--bos", "--json").GetProperty("ids")));
        Assert.Equal("Hello world", Done("detokenize", "--model", folder, "--ids", "15043,3186", "--json").GetProperty("text").GetString());
        Assert.Equal("Hello world", Tool.Vicuna("detokenize", "--model", folder, "--ids", "1, 15043, 3186").Output.TrimEnd());
    }

    [Fact]
    public void Tokenize_OfAFileAndOfText_IsCharacterForCharacter()
    {
        using TempFolder folder = new();
        string path = folder.Write("text", "\uFEFFa\r\n @b \u00e9");
        Assert.Equal(
            Numbers(Done("tokenize", "--text", "\uFEFFa\r\n @b \u00e9", "--json").GetProperty("ids")), Numbers(Done("tokenize", "--file", path, "--json").GetProperty("ids")));
        Assert.NotEmpty(Numbers(Done("tokenize", "--text", "@file", "--json").GetProperty("ids")));
        Fails(1, "expected UTF-8 text, found other bytes at position 1", "tokenize", "--file", folder.Write("bad", [0x41, 0xFF, 0x42]));
    }

    [Fact]
    public void Perplexity_OfRows_IsTheGolden()
    {
        string model = SharedFolder.Require("models/pico-vicuna");
        JsonElement golden = Json(File.ReadAllText(SharedFolder.Require("goldens/pico-vicuna.json"))).GetProperty("held_out");
        using TempFolder folder = new();
        string ids = folder.Write("ids.json", golden.GetProperty("ids").GetRawText());
        JsonElement rows = Done("perplexity", "--model", model, "--ids-file", ids, "--window", "512", "--json");
        Assert.Equal(golden.GetProperty("nll").GetDouble(), rows.GetProperty("nll").GetDouble(), 1e-5);
        Assert.Equal(golden.GetProperty("perplexity").GetDouble(), rows.GetProperty("perplexity").GetDouble(), 1e-4);
        Assert.Equal(7399, rows.GetProperty("tokens").GetInt32());
    }

    [Fact]
    public void Perplexity_OfText_FollowsThePaperProcedure()
    {
        using TempFolder folder = new();
        string text = folder.Write("text", string.Concat(Enumerable.Repeat("The sky is blue. ", 40)));
        int ids = Numbers(Done("tokenize", "--file", text, "--json").GetProperty("ids")).Length;
        JsonElement first = Done("perplexity", "--file", text, "--window", "64", "--json");
        Assert.Equal((ids + 1) / 64, first.GetProperty("windows").GetInt32());
        Assert.Equal((ids + 1) / 64 * 63, first.GetProperty("tokens").GetInt32());
        JsonElement every = Done("perplexity", "--file", text, "--window", "64", "--bos", "every", "--json");
        Assert.Equal(ids / 64 * 64, every.GetProperty("tokens").GetInt32());
    }

    [Fact]
    public void Logits_DoNotDependOnTheNumberOfThreads()
    {
        string one = Tool.Vicuna("logits", "--ids", "1,267,289,309", "--threads", "1", "--all", "--json").Output;
        Assert.NotEmpty(one);
        foreach (string threads in new[] { "2", "3", "5" })
        {
            Assert.Equal(one, Tool.Vicuna("logits", "--ids", "1,267,289,309", "--threads", threads, "--all", "--json").Output);
            Assert.Equal(one, Tool.Vicuna("logits", "--ids", "1,267,289,309", "--threads", "1", "--prefill-threads", threads, "--all", "--json").Output);
        }
    }

    [Fact]
    public void Bench_WithTinyNumbers_PrintsTheContractsKeysFirst()
    {
        JsonElement result = Done("bench", "--prompt-tokens", "8", "--new-tokens", "2", "--repeat", "1", "--threads", "2", "--json");
        string[] keys =
        [
            "prefillTokensPerSecond", "decodeTokensPerSecond", "weightGBPerSecond", "memoryReadGBPerSecond", "fmaPeakGFlops", "prefillGFlops",
            "decodeOverMemoryRead", "prefillOverFmaPeak", "threads", "isa", "loadSeconds", "peakMemoryBytes",
        ];
        Assert.Equal(keys, result.EnumerateObject().Take(keys.Length).Select(member => member.Name));
        Assert.All(keys.Except(["isa"]), key => Assert.True(result.GetProperty(key).GetDouble() > 0, key));
        Assert.Equal(2, result.GetProperty("threads").GetInt32());
        Assert.Contains(result.GetProperty("isa").GetString(), new[] { "scalar", "avx2", "avx512" });
        Assert.Equal(0, result.GetProperty("allocatedBytesPerToken").GetDouble());
    }

    [Fact]
    public void Bench_OnOneProcessorOfMany_HasOneThread()
    {
        string taskset = new[] { "/usr/bin/taskset", "/bin/taskset" }.FirstOrDefault(File.Exists) ?? string.Empty;
        Assert.SkipUnless(taskset.Length > 0, "taskset is not installed.");
        Tool.Outcome outcome = Tool.Run(
            taskset, ["-c", "0", Tool.VicunaPath, "bench", "--prompt-tokens", "4", "--new-tokens", "1", "--repeat", "1", "--json"], workingFolder: null, input: null);
        Assert.SkipWhen(outcome.ExitCode != 0 && outcome.Error.Contains("affinity", StringComparison.Ordinal), "This process may not use processor 0.");
        Assert.True(outcome.ExitCode == 0, outcome.Error);
        Assert.Equal(1, Json(Assert.Single(outcome.Lines)).GetProperty("threads").GetInt32());
    }

    [Fact]
    public void Bench_WithoutPromptTokens_FitsTheContextAndSaysSo()
    {
        Tool.Outcome outcome = Tool.Vicuna("bench", "--new-tokens", "500", "--repeat", "1");
        Assert.Equal(0, outcome.ExitCode);
        Assert.Contains("the context holds 512 tokens: the prompt has 12, not 512", outcome.Error, StringComparison.Ordinal);
        Assert.Equal(["model", "machine", "limits", "prefill", "decode", "memory"], outcome.Lines.Select(line => line.Split(' ')[0]));
    }

    [Fact]
    public void Logits_OfResidentWeights_AreThoseOfMappedOnes()
    {
        string folder = RepositoryFolder.Find("samples/models/pico-vicuna");
        string[] arguments = ["logits", "--model", folder, "--ids", "1,267,289", "--json"];
        Assert.Equal(Tool.Vicuna(arguments).Output, Tool.Vicuna([.. arguments, "--resident", "--huge-pages"]).Output);
    }

    // A knob of the runtime takes away what the CPU has; that must not go unnoticed.
    [Fact]
    public void Generate_WithInstructionsTurnedOff_SaysSoOnce()
    {
        Assert.SkipUnless(Done("bench", "--prompt-tokens", "1", "--new-tokens", "1", "--repeat", "1", "--json").GetProperty("isa").GetString() != "scalar", "There is nothing to turn off.");
        Tool.Outcome outcome = Tool.Run(Tool.VicunaPath, ["logits", "--ids", "1", "--json"], null, null, new() { ["DOTNET_EnableAVX2"] = "0" });
        Assert.Equal(0, outcome.ExitCode);
        Assert.Contains("Computing with 'scalar' on a CPU that has 'avx", Assert.Single(outcome.Error.Trim().Split('\n')), StringComparison.Ordinal);
        Assert.Empty(Tool.Run(Tool.VicunaPath, ["logits", "--ids", "1", "--json", "--isa", "scalar"], null, null, new() { ["DOTNET_EnableAVX2"] = "0" }).Error);
    }

    [Theory]
    [InlineData("'nonsense'", "nonsense")]
    [InlineData("--bogus", "generate", "--prompt", "a", "--bogus")]
    [InlineData("either --prompt or --ids", "generate")]
    [InlineData("--temperature", "generate", "--prompt", "a", "--temperature", "-1")]
    [InlineData("--top-p", "generate", "--prompt", "a", "--top-p", "0")]
    [InlineData("--threads", "generate", "--prompt", "a", "--threads", "0")]
    [InlineData("--ids", "logits", "--ids", "1,x")]
    [InlineData("--ids", "logits")]
    [InlineData("either --text or --file", "tokenize", "--text", "a", "--file", "b")]
    [InlineData("--exact and --quantize", "generate", "--prompt", "a", "--quantize", "q8", "--exact")]
    [InlineData("q5", "generate", "--prompt", "a", "--quantize", "q5")]
    [InlineData("--quantize", "tokenize", "--text", "a", "--quantize", "q8")]
    [InlineData("--window", "perplexity", "--file", "x", "--window", "1")]
    [InlineData("--batch", "bench", "--batch", "0")]
    [InlineData("--repeat", "bench", "--repeat", "0")]
    public void WrongCommandLine_ExitsWith2(string says, params string[] arguments)
    {
        Tool.Outcome outcome = Tool.Vicuna(arguments);
        Assert.Equal(2, outcome.ExitCode);
        Assert.Contains(says, outcome.Error, StringComparison.Ordinal);
        Assert.Empty(outcome.Output.Trim().Split("Description:")[0]);
    }

    [Theory]
    [InlineData("expected a model folder or a .gguf file, found nothing", "inspect", "--model", "no-such-model")]
    [InlineData("Token id 1024 is not in the vocabulary of 1024", "logits", "--ids", "1,1024")]
    [InlineData("Token id -1 is not in the vocabulary", "logits", "--ids", "1,-1")]
    [InlineData("no-such-file", "perplexity", "--file", "no-such-file")]
    [InlineData("The context holds 512 tokens; 500 of the prompt and 13 new ones are 513", "bench", "--prompt-tokens", "500", "--new-tokens", "13")]
    [InlineData("vocabulary of 1024 pieces", "detokenize", "--ids", "99999")]
    public void ImpossibleRequest_ExitsWith1AndOneLine(string says, params string[] arguments) => Fails(1, says, arguments);

    [Fact]
    public void TooLongPrompt_ExitsWith1AndNumbers() =>
        Fails(1, "The sequence would have 600 tokens; the context holds 512", "generate", "--ids", string.Join(',', Enumerable.Repeat(5, 600)));

    [Theory]
    [InlineData("config.json", "{", "config.json")]
    [InlineData("config.json", "{\"model_type\":\"gpt2\"}", "'gpt2' is not supported")]
    [InlineData("model.safetensors", "version https://git-lfs.github.com/spec/v1\n", "model.safetensors")]
    [InlineData("tokenizer.model", "not a model", "tokenizer.model")]
    [InlineData("generation_config.json", "{\"temperature\":-3}", "generation_config.json")]
    public void DamagedCheckpoint_ExitsWith1AndNamesTheFile(string file, string content, string says)
    {
        using TempFolder folder = new();
        foreach (string source in Directory.GetFiles(RepositoryFolder.Find("samples/models/pico-vicuna")))
        {
            File.Copy(source, folder.File(Path.GetFileName(source)));
        }

        folder.Write(file, content);
        foreach (string verb in new[] { "inspect", "generate --prompt a", "logits --ids 1" })
        {
            Fails(1, says, [.. verb.Split(' '), "--model", folder.Path]);
        }
    }

    [Fact]
    public void Interrupt_ExitsWith130()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() || OperatingSystem.IsMacOS(), "Sends SIGINT with kill.");
        using TempFolder folder = new();
        string text = folder.Write("text", string.Concat(Enumerable.Repeat("The sky is blue. ", 60_000)));
        using Process process = Process.Start(new ProcessStartInfo(Tool.VicunaPath, ["perplexity", "--file", text, "--isa", "scalar"]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        Thread.Sleep(2000);
        Assert.False(process.HasExited);
        using (Process kill = Process.Start("kill", ["-INT", process.Id.ToString(System.Globalization.CultureInfo.InvariantCulture)])!)
        {
            kill.WaitForExit();
        }

        Assert.True(process.WaitForExit(TimeSpan.FromSeconds(20)));
        Assert.Equal(130, process.ExitCode);
        Assert.Equal("vicuna: interrupted.", process.StandardError.ReadToEnd().Trim());
    }

    [Fact]
    public void Help_ListsTheVerbsThatAreThere()
    {
        Tool.Outcome outcome = Tool.Vicuna("--help");
        Assert.Equal(0, outcome.ExitCode);
        foreach (string verb in new[] { "inspect", "tokenize", "detokenize", "logits", "generate", "chat", "perplexity", "evaluate", "bench", "synth", "score", "convert", "prune", "heal", "merge" })
        {
            Assert.Contains($"  {verb} ", outcome.Output, StringComparison.Ordinal);
        }
    }

    private static void Fails(int exitCode, string says, params string[] arguments)
    {
        Tool.Outcome outcome = Tool.Vicuna(arguments);
        Assert.Equal(exitCode, outcome.ExitCode);
        Assert.Contains(says, outcome.Error, StringComparison.Ordinal);
        Assert.Single(outcome.Error.Trim().Split('\n'));
        Assert.DoesNotContain("   at ", outcome.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("unexpected", outcome.Error, StringComparison.Ordinal);
    }

    private static JsonElement Done(params string[] arguments)
    {
        Tool.Outcome outcome = Tool.Vicuna(arguments);
        Assert.True(outcome.ExitCode == 0, outcome.Error);
        return Json(Assert.Single(outcome.Lines));
    }

    private static JsonElement Json(string text)
    {
        using JsonDocument document = JsonDocument.Parse(text);
        return document.RootElement.Clone();
    }

    private static double[] Numbers(JsonElement array) => [.. array.EnumerateArray().Select(value => value.GetDouble())];
}
