using System.Globalization;
using System.Net;
using System.Reflection;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.PublicApi.Tests;

/// <summary>The README's snippets are compiled against the public API and run, its commands are run, with the embedded model in the place of the real one.</summary>
[CollectionDefinition(nameof(ReadmeTests), DisableParallelization = true)]
[Collection(nameof(ReadmeTests))]
public sealed partial class ReadmeTests
{
    private const string ModelName = "st-vicuna-v1.3-5.5b-taylor";

    private const string HeldOut = "samples/models/held-out.json";

    private static readonly string Readme = File.ReadAllText(RepositoryFolder.Find("README.md")).ReplaceLineEndings("\n");

    private const string GlobalUsings =
        "global using System; global using System.Collections.Generic; global using System.IO; global using System.Linq; global using System.Threading; "
        + "global using System.Threading.Tasks;";

    // What a web application has by itself, beside the others.
    private const string WebUsings = "global using Microsoft.AspNetCore.Builder; global using Microsoft.Extensions.DependencyInjection;";

    public static TheoryData<int, string> Snippets()
    {
        TheoryData<int, string> data = [];
        foreach ((int number, string snippet) in Blocks("csharp").Index().Where(pair => !IsServer(pair.Item)))
        {
            data.Add(number + 1, snippet);
        }

        return data;
    }

    public static TheoryData<string> ToolCommands() => [.. Blocks("sh").Where(block => !IsShortening(block)).SelectMany(CommandsOf).Where(command => !IsServing(command))];

    public static TheoryData<string, string, string, string, string, string> QualityRows()
    {
        TheoryData<string, string, string, string, string, string> data = [];
        foreach (Match row in QualityRowPattern().Matches(Readme))
        {
            string[] cells = [.. row.Groups.Cast<Group>().Skip(1).Select(group => group.Value)];
            data.Add(cells[0], cells[1], cells[2], cells[3], cells[4], cells[5]);
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Snippets))]
    public async Task Snippet_CompilesAndRuns(int number, string snippet)
    {
        using MemoryStream image = Compile($"Snippet{number}", GlobalUsings, snippet);
        string output = await RunBesideTheModel(Assembly.Load(image.ToArray()).EntryPoint!);
        Assert.Matches(number switch
        {
            1 => "^\\w",
            2 => "^\\S",
            3 => "tokens in",
            4 => "^Three plus four is seven\\.\nThe sky is blue\\.\n$",
            5 => "^1024 logits after \\d+ tokens\nTrue\nTrue\n$",
            6 => "^Three plus four is seven\\.\nThe sky is blue\\.\n$",
            7 => "^\\d+ tokens, \\d+ of them shared; next come \\d+ and \\d+\n$",
            8 => "^1,968,256 parameters.*\n[\\d,]+ bytes in four and eight bits\n$",
            9 => "^Three plus four is seven\\.\nThe sky is blue\\.\nTrue: The sky is blue\\.\n$",
            10 => "^\\{\\s?\"name\":\\s?\"[^\"]{0,12}\",\\s?\"age\":\\s?\\d{1,3}\\s?\\}\n(yes|no|perhaps): -?\\d+\\.\\d\\d\n$",
            11 => "^Three plus four is seven\\.\nstop: \\d+ \\+ \\d+ tokens, [1-9]\\d* of them known\n$",
            13 => "^without blocks \\d and \\d:\n\\S",
            14 => "^\\S",
            _ => "no expectation for a new snippet: add one",
        }, output);
    }

    [Theory]
    [MemberData(nameof(ToolCommands))]
    public void ToolCommand_RunsAndPrints(string command)
    {
        using TempFolder folder = WithTheFilesOfAClone();
        Run(command, folder);
    }

    // Each takes what the one before it wrote.
    [Fact]
    public void ShorteningCommands_RunInTheirOrder()
    {
        using TempFolder folder = WithTheFilesOfAClone();
        string[] commands = [.. CommandsOf(Assert.Single(Blocks("sh"), IsShortening))];
        Assert.Equal(["score", "prune", "heal", "perplexity", "merge", "convert", "generate"], commands.Select(command => command.Split(' ')[1]));
        foreach (string command in commands)
        {
            Run(command, folder);
        }

        Assert.All((string[])["scores.csv", "scores_order.csv", "scores_weights.csv", "scores.svg", "adapter/adapter_config.json", "adapter/loss.svg", "healed.gguf"], file =>
            Assert.True(new FileInfo(folder.File(file)).Length > 0, file));
    }

    [Fact]
    public async Task ServerSnippet_CompilesAndServes()
    {
        using TempFolder folder = new();
        CopyModel(folder);
        string assembly = folder.File("Snippet.dll");
        using (MemoryStream image = Compile("Snippet", GlobalUsings + WebUsings, Assert.Single(Blocks("csharp"), IsServer)))
        {
            File.WriteAllBytes(assembly, image.ToArray());
        }

        // Run as a process, with what these tests are run with: only a signal ends it.
        string tests = Path.ChangeExtension(typeof(ReadmeTests).Assembly.Location, null);
        await using Served served = await Served.StartAsync(
            "dotnet", ["exec", "--depsfile", tests + ".deps.json", "--runtimeconfig", tests + ".runtimeconfig.json", assembly, "--urls", "http://127.0.0.1:0"], folder.Path);
        await CheckServed(served, ModelName);
    }

    [Fact]
    public async Task ServeCommand_Serves()
    {
        using TempFolder folder = new();
        CopyModel(folder);
        string command = Assert.Single(Blocks("sh").SelectMany(CommandsOf), IsServing);
        await using Served served = await Served.StartAsync(Tool.VicunaPath, [.. ArgumentsOf(command), "--urls", "http://127.0.0.1:0"], folder.Path);
        await CheckServed(served, ModelName);
    }

    // Told as the page tells it; how it looks and what it does is tested with the sample.
    [Fact]
    public void SampleCommands_AreThere() =>
        Assert.All((string[])["samples/Server", "samples/Desktop", "samples/Chat"], sample =>
        {
            Assert.Contains($"dotnet run -c Release --project {sample}", Blocks("sh").Select(block => block.Trim()));
            Assert.True(Directory.Exists(RepositoryFolder.Find(sample)));
        });

    private static async Task CheckServed(Served served, string model)
    {
        using CancellationTokenSource stop = new(Served.Long);
        while ((await served.Http.GetAsync("/health/ready", stop.Token)).StatusCode != HttpStatusCode.OK)
        {
            await Task.Delay(20, stop.Token);
        }

        Assert.Contains($"\"id\":\"{model}\"", await served.Http.GetStringAsync("/v1/models", stop.Token), StringComparison.Ordinal);
        string answer = await served.ChatAsync("""{"messages":[{"role":"user","content":"What is 3 plus 4?"}],"temperature":0}""");
        Assert.Contains("Three plus four is seven.", answer, StringComparison.Ordinal);
        (int code, string error) = await served.SignalAsync(Served.Terminate);
        Assert.True(code == 0, error);
    }

    private static MemoryStream Compile(string name, string usings, string snippet)
    {
        CSharpCompilation compilation = CSharpCompilation.Create(
            name,
            [CSharpSyntaxTree.ParseText(usings), CSharpSyntaxTree.ParseText(snippet)],
            ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(Path.PathSeparator).Select(path => MetadataReference.CreateFromFile(path)),
            new CSharpCompilationOptions(OutputKind.ConsoleApplication, nullableContextOptions: NullableContextOptions.Enable));
        MemoryStream image = new();
        var emitted = compilation.Emit(image, cancellationToken: TestContext.Current.CancellationToken);
        Assert.True(emitted.Success, string.Join('\n', emitted.Diagnostics));
        Assert.DoesNotContain(emitted.Diagnostics, diagnostic => diagnostic.Severity >= DiagnosticSeverity.Warning);
        return image;
    }

    private static bool IsServer(string snippet) => snippet.Contains("app.Run();", StringComparison.Ordinal);

    private static bool IsServing(string command) => command.StartsWith("vicuna serve", StringComparison.Ordinal);

    private static string[] ArgumentsOf(string command) => [.. ArgumentPattern().Matches(command).Skip(1).Select(match => match.Value.Trim('"'))];

    private static bool IsShortening(string block) => block.StartsWith("vicuna score", StringComparison.Ordinal);

    private static IEnumerable<string> CommandsOf(string block) => block.Split('\n').Where(line => line.StartsWith("vicuna ", StringComparison.Ordinal));

    private static TempFolder WithTheFilesOfAClone()
    {
        TempFolder folder = new();
        File.Copy(RepositoryFolder.Find("README.md"), folder.File("README.md"));
        Directory.CreateDirectory(folder.File("samples/models"));
        File.Copy(RepositoryFolder.Find(HeldOut), folder.File(HeldOut));
        return folder;
    }

    private static void Run(string command, TempFolder folder)
    {
        Tool.Outcome outcome = Tool.Run(Tool.VicunaPath, ArgumentsOf(command), folder.Path, input: null);
        Assert.True(outcome.ExitCode == 0, outcome.Error);
        Assert.NotEmpty(outcome.Output.Trim());
    }

    [Fact]
    public void QualityTable_HasEveryCombination() =>
        Assert.Equal(
            from quantize in new[] { "none", "q8", "q4" } from kv in new[] { "f32", "f16", "q8" } select (quantize, kv),
            QualityRows().Select(row => (row.Data.Item1, row.Data.Item2)));

    // What is printed holds for every instruction set, to 0.2 % at most: what they add up differs in order, and activations are rounded after that.
    [Theory]
    [MemberData(nameof(QualityRows))]
    public void QualityTable_OfPicoVicuna_IsWhatTheCommandSays(string quantize, string kv, string pico, string picoChange, string stories, string storiesChange)
    {
        Assert.True(stories.Length > 0 && storiesChange.Length > 0);
        double exact = double.Parse(QualityRows().Select(row => row.Data).First(row => (row.Item1, row.Item2) == ("none", "f32")).Item3, CultureInfo.InvariantCulture);
        CheckPerplexity(pico, picoChange, exact, "--ids-file", RepositoryFolder.Find(HeldOut), "--window", "512", "--quantize", quantize, "--kv", kv);
    }

    [Theory]
    [MemberData(nameof(QualityRows))]
    public void QualityTable_OfStories_IsWhatTheCommandSays(string quantize, string kv, string pico, string picoChange, string stories, string storiesChange)
    {
        Assert.True(pico.Length > 0 && picoChange.Length > 0);
        string model = SharedFolder.Require("models/stories260k");
        using JsonDocument golden = JsonDocument.Parse(File.ReadAllBytes(SharedFolder.Require("goldens/stories260k.json")));
        JsonElement perplexity = golden.RootElement.GetProperty("perplexity");
        using TempFolder folder = new();
        string ids = folder.Write("ids.json", $"[{perplexity.GetProperty("ids").GetRawText()}]");
        CheckPerplexity(
            stories, storiesChange, perplexity.GetProperty("perplexity").GetDouble(), "--model", model, "--ids-file", ids, "--window", "512", "--quantize", quantize, "--kv", kv);
    }

    [Fact]
    public void HeldOutText_HasAsManyTokensAsSaid()
    {
        using JsonDocument heldOut = JsonDocument.Parse(File.ReadAllBytes(RepositoryFolder.Find(HeldOut)));
        int predicted = heldOut.RootElement.EnumerateArray().Sum(row => row.GetArrayLength() - 1);
        Assert.Contains(string.Create(CultureInfo.InvariantCulture, $"(`{HeldOut}`, {predicted:N0} tokens)"), Readme, StringComparison.Ordinal);
    }

    [Fact]
    public void ChatCommand_StreamsAnAnswerAndTakesAPrompt()
    {
        Assert.Contains("dotnet run -c Release --project samples/Chat", Blocks("sh").Select(block => block.Trim()));
        Tool.Outcome outcome = Tool.Run(Tool.ChatPath, [], workingFolder: null, input: "What color is the sky?\n\n");
        Assert.True(outcome.ExitCode == 0, outcome.Error);
        // The model's own defaults draw at random: that there are two answers is certain, their words are not.
        Assert.Matches("^> Tell me a story about a cat\\.\n\\w[^\n]+\n\\[\\d+ tokens, \\d+ per second\\]\n> \\w[^\n]+\n\\[\\d+ tokens", outcome.Output.ReplaceLineEndings("\n"));
    }

    [Fact]
    public void TestCommand_IsTheOneThatContinuousIntegrationRuns()
    {
        const string command = "dotnet test -c Release";
        Assert.Contains(command, Blocks("sh").Select(block => block.Trim()));
        Assert.Contains(command, File.ReadAllText(RepositoryFolder.Find(".ci/run")), StringComparison.Ordinal);
    }

    private static void CheckPerplexity(string printed, string change, double exact, params string[] arguments)
    {
        Tool.Outcome outcome = Tool.Vicuna(["perplexity", "--json", .. arguments]);
        Assert.True(outcome.ExitCode == 0, outcome.Error);
        using JsonDocument json = JsonDocument.Parse(outcome.Output);
        double found = json.RootElement.GetProperty("perplexity").GetDouble();
        double expected = double.Parse(printed, CultureInfo.InvariantCulture);
        Assert.InRange(found, expected * 0.998, expected * 1.002);
        Assert.Equal(100 * ((expected / exact) - 1), double.Parse(change.TrimEnd('%'), CultureInfo.InvariantCulture), 0.01);
    }

    private static IEnumerable<string> Blocks(string language) => BlockPattern().Matches(Readme).Where(match => match.Groups[1].Value == language).Select(match => match.Groups[2].Value);

    private static async Task<string> RunBesideTheModel(MethodInfo entryPoint)
    {
        using TempFolder folder = new();
        CopyModel(folder);
        File.Copy(RepositoryFolder.Find("README.md"), folder.File("book.txt"));
        string before = Environment.CurrentDirectory;
        TextWriter console = Console.Out;
        using StringWriter output = new();
        try
        {
            Environment.CurrentDirectory = folder.Path;
            Console.SetOut(output);
            object? result = entryPoint.Invoke(null, entryPoint.GetParameters().Length == 0 ? null : [Array.Empty<string>()]);
            if (result is Task task)
            {
                await task;
            }
        }
        finally
        {
            Console.SetOut(console);
            Environment.CurrentDirectory = before;
        }

        return output.ToString().ReplaceLineEndings("\n");
    }

    private static void CopyModel(TempFolder folder)
    {
        Directory.CreateDirectory(folder.File(ModelName));
        foreach (string file in Directory.GetFiles(RepositoryFolder.Find("samples/models/pico-vicuna")))
        {
            File.Copy(file, Path.Combine(folder.File(ModelName), Path.GetFileName(file)));
        }
    }

    [GeneratedRegex("```(\\w+)\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex BlockPattern();

    [GeneratedRegex(@"^\| (none|q8|q4) \| (f32|f16|q8) \| ([\d.]+) \| ([-+\d.]+%) \| ([\d.]+) \| ([-+\d.]+%) \|$", RegexOptions.Multiline)]
    private static partial Regex QualityRowPattern();

    [GeneratedRegex("\"[^\"]*\"|\\S+")]
    private static partial Regex ArgumentPattern();
}
