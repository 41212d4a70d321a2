using System.Text.Json;
using System.Text.RegularExpressions;
using Vicuna.Managed.Chat;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.Constraints;

/// <summary>Answers of the embedded model under constraints, on every way to an answer.</summary>
public sealed class ConstrainedGenerationTests
{
    private const string Schema = """
        {"type":"object","properties":{"answer":{"type":"string","maxLength":30},"number":{"type":"integer","minimum":0,"maximum":20},"sure":{"type":"boolean"}},
        "required":["answer","number","sure"],"additionalProperties":false}
        """;

    public static TheoryData<string, double, bool> Cases()
    {
        TheoryData<string, double, bool> data = [];
        foreach (string kind in new[] { "schema", "object", "regex", "choice" })
        {
            data.Add(kind, 0, true);
            data.Add(kind, 1.5, true);
            data.Add(kind, 1.5, false);
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task Answers_ThatEndByThemselves_HaveTheForm(string kind, double temperature, bool isChat)
    {
        using LanguageModel model = LanguageModel.Load(PicoVicuna.Folder, new LoadOptions { Threads = 2 });
        await using InferenceEngine engine = new(model, new EngineOptions { MaxConcurrentRequests = 4, MaxQueuedRequests = 64 });
        Prompt prompt = isChat ? Question("What is 3 plus 4?") : Prompt.FromText("Once upon a time");
        OutputConstraint constraint = Constraint(kind);
        GenerationOptions[] options =
        [
            .. Enumerable.Range(0, temperature == 0 ? 1 : 6).Select(seed => new GenerationOptions
            {
                Constraint = constraint, Temperature = temperature, Seed = seed, MaxNewTokens = 200, StopStrings = [], LogProbabilities = 1,
                TopK = seed % 2 == 0 ? 3 : null, RepetitionPenalty = seed % 3 == 0 ? 1.3 : null, FrequencyPenalty = seed % 2 == 1 ? 0.7 : null,
            }),
        ];
        GenerationResult[] alone = [.. options.Select(option => model.Generate(prompt, option))];
        GenerationResult[] together = await Task.WhenAll(options.Select(option => engine.GenerateAsync(prompt, option, cancellationToken: TestContext.Current.CancellationToken)));
        int ended = 0;
        for (int i = 0; i < options.Length; i++)
        {
            Assert.Equal((alone[i].Text, alone[i].FinishReason), (together[i].Text, together[i].FinishReason));
            Assert.Equal(alone[i].TokenIds, together[i].TokenIds);
            Assert.Equal(alone[i].LogProbabilities!.Select(token => token.LogProbability), together[i].LogProbabilities!.Select(token => token.LogProbability));
            if (alone[i].FinishReason == FinishReason.EndOfSequence)
            {
                Check(kind, alone[i].Text);
                ended++;
            }
            else
            {
                Assert.Equal(FinishReason.MaxNewTokens, alone[i].FinishReason);
                Assert.True(constraint.AllowsBeginning(alone[i].Text.TrimEnd('\uFFFD')), alone[i].Text);
            }
        }

        Assert.True(kind == "object" || ended > 0, "no answer has ended");
        foreach (GenerationResult result in model.GenerateBatch([prompt, prompt], options[0]))
        {
            Assert.Equal((alone[0].Text, alone[0].FinishReason), (result.Text, result.FinishReason));
        }
    }

    // What ends a turn in a template may be a part of a text that has a form.
    [Fact]
    public async Task StopStrings_OfTheTemplate_DoNotCutAForm()
    {
        using LanguageModel model = LanguageModel.Load(PicoVicuna.Folder, new LoadOptions { PromptFormatter = new AlpacaFormatter() });
        string text = "Write ### Instruction: first.";
        GenerationOptions options = new() { Temperature = 0, Constraint = OutputConstraint.Choice([text]) };
        Assert.Equal(text, model.Generate(Question("What is 3 plus 4?"), options, TestContext.Current.CancellationToken).Text);
        await using InferenceEngine engine = new(model);
        Assert.Equal(text, (await engine.GenerateAsync(Question("What is 3 plus 4?"), options with { StopStrings = [.. model.PromptFormatter.StopStrings] })).Text);
        Assert.Equal("Write ### ", (await engine.GenerateAsync(Question("What is 3 plus 4?"), options with { StopStrings = ["Instr"] })).Text);
    }

    [Fact]
    public async Task ChatSession_ConstrainsEveryTurn()
    {
        using LanguageModel model = LanguageModel.Load(PicoVicuna.Folder);
        using ChatSession chat = model.CreateChat(options: new GenerationOptions { Temperature = 0.9, Seed = 4, Constraint = OutputConstraint.JsonSchema(Schema), MaxNewTokens = 200, StopStrings = [] });
        foreach (string question in new[] { "What is 3 plus 4?", "What color is the sky?", "Count to 9." })
        {
            GenerationResult? result = null;
            string text = string.Empty;
            await foreach (GenerationChunk piece in chat.SendAsync(question, TestContext.Current.CancellationToken))
            {
                text += piece.Text;
                result = piece.Result;
            }

            Assert.Equal(FinishReason.EndOfSequence, result!.FinishReason);
            Assert.Equal(result.Text, text);
            Check("schema", text);
        }
    }

    [Fact]
    public void Choice_OfAKnownAnswer_IsTheLikelierOne()
    {
        using LanguageModel model = LanguageModel.Load(PicoVicuna.Folder);
        GenerationOptions options = new() { Temperature = 0, Constraint = OutputConstraint.Choice(["The sky is green.", "The sky is blue."]) };
        GenerationResult result = model.Generate(Question("What color is the sky?"), options);
        Assert.Equal(("The sky is blue.", FinishReason.EndOfSequence), (result.Text, result.FinishReason));
        // The model's own answer, so the constraint costs it nothing; its end needs no token.
        Assert.Equal(model.Generate(Question("What color is the sky?"), new GenerationOptions { Temperature = 0 }).TokenIds, result.TokenIds);
    }

    [Fact]
    public void Limits_EndConstrainedAnswersAsOthers()
    {
        using LanguageModel model = LanguageModel.Load(PicoVicuna.Folder);
        GenerationOptions options = new() { Temperature = 0, Constraint = OutputConstraint.Regex("abc def( ghi)?"), MaxNewTokens = 100 };
        Assert.StartsWith("abc def", model.Generate(Question("Hello"), options).Text, StringComparison.Ordinal);
        GenerationResult cut = model.Generate(Question("Hello"), options with { MaxNewTokens = 2 });
        Assert.Equal(FinishReason.MaxNewTokens, cut.FinishReason);
        Assert.StartsWith(cut.Text, "abc def ghi", StringComparison.Ordinal);
        GenerationResult stopped = model.Generate(Question("Hello"), options with { StopStrings = ["c d"] });
        Assert.Equal(("ab", FinishReason.StopString), (stopped.Text, stopped.FinishReason));
        // A token of the caller's that ends answers can only end whole ones.
        int space = model.Encode(Prompt.FromText("ab"))[^1];
        GenerationResult whole = model.Generate(Question("Hello"), options with { StopTokens = [.. Enumerable.Range(3, 300).Where(id => id != space)] });
        Assert.Matches("^abc def( ghi)?$", whole.Text);
        // The empty text is an answer too.
        GenerationResult empty = model.Generate("Hello", options with { Constraint = OutputConstraint.Regex("") });
        Assert.Equal((string.Empty, FinishReason.EndOfSequence, 0), (empty.Text, empty.FinishReason, empty.TokenIds.Count));
    }

    [Fact]
    public void Generator_StepByStep_TakesTheConstraintAlong()
    {
        using LanguageModel model = LanguageModel.Load(PicoVicuna.Folder);
        GenerationOptions options = new() { Temperature = 1, Seed = 3, Constraint = OutputConstraint.Regex("[a-f]{3} [0-9]{4}") };
        using Generator generator = model.CreateGenerator(options);
        generator.AppendText("Say something");
        int start = generator.Position;
        List<int> first = Answer(generator, model);
        string text = model.Tokenizer.Decode(first).TrimStart();
        Assert.Matches("^[a-f]{3} [0-9]{4}$", text);
        Assert.Throws<InvalidOperationException>(() => generator.Next());

        // Rewound into the middle it goes on from there; to the end of the prompt it begins again.
        generator.Rewind(start + 2);
        Assert.Equal(first.Skip(2), Answer(generator, model));
        generator.Rewind(start);
        Assert.Equal(first, Answer(generator, model));

        generator.Rewind(start + 3);
        using (Generator fork = generator.Fork())
        {
            Assert.Equal(first.Skip(3), Answer(fork, model));
        }

        using MemoryStream saved = new();
        generator.Save(saved);
        saved.Position = 0;
        using (Generator restored = model.CreateGenerator(options))
        {
            restored.Restore(saved);
            Assert.Equal(first.Skip(3), Answer(restored, model));
        }

        saved.Position = 0;
        using (Generator other = model.CreateGenerator(options with { Constraint = OutputConstraint.Regex("[x-z]+") }))
        {
            other.Restore(saved);
            Assert.Contains("does not follow the constraint", Assert.Throws<InvalidOperationException>(() => other.Next()).Message, StringComparison.Ordinal);
        }

        // What is appended begins a new text.
        generator.AppendText("And again");
        Assert.Matches("^[a-f]{3} [0-9]{4}$", model.Tokenizer.Decode(Answer(generator, model)).TrimStart());
    }

    [Fact]
    public async Task ModelWithoutTokenizer_IsRefusedByTheCallThatAsks()
    {
        using LanguageModel model = new TinyModel(new TinyShape()).Load();
        GenerationOptions options = new() { Constraint = OutputConstraint.JsonObject };
        Prompt prompt = Prompt.FromTokens([1, 2, 3]);
        Assert.Throws<ModelFormatException>(() => model.Generate(prompt, options));
        Assert.Throws<ModelFormatException>(() => model.StreamAsync(prompt, options));
        Assert.Throws<ModelFormatException>(() => model.CreateGenerator(options));
        await using InferenceEngine engine = new(model);
        await Assert.ThrowsAsync<ModelFormatException>(() => engine.SubmitAsync(prompt, options, cancellationToken: TestContext.Current.CancellationToken));
    }

    [Fact]
    public void Choices_OfWrongKinds_AreRefused()
    {
        Assert.Contains("found 0", Assert.Throws<ArgumentException>(() => OutputConstraint.Choice([])).Message, StringComparison.Ordinal);
        Assert.Contains("Choice 1 is empty", Assert.Throws<ArgumentException>(() => OutputConstraint.Choice(["a", ""])).Message, StringComparison.Ordinal);
        Assert.Contains("Choice 0 is null", Assert.Throws<ArgumentException>(() => OutputConstraint.Choice([null!])).Message, StringComparison.Ordinal);
        Assert.Contains("surrogate", Assert.Throws<ArgumentException>(() => OutputConstraint.Choice(["\ud800"])).Message, StringComparison.Ordinal);
        Assert.Contains("found 5001", Assert.Throws<ArgumentException>(() => OutputConstraint.Choice([.. Enumerable.Repeat("a", 5001)])).Message, StringComparison.Ordinal);
        Assert.Contains("characters", Assert.Throws<ArgumentException>(() => OutputConstraint.Choice([new string('a', 600_000)])).Message, StringComparison.Ordinal);
    }

    private static List<int> Answer(Generator generator, LanguageModel model)
    {
        List<int> ids = [];
        for (int token = generator.Next(); !model.EndOfSequenceIds.Contains(token); token = generator.Next())
        {
            ids.Add(token);
        }

        return ids;
    }

    private static Prompt Question(string text) => Prompt.FromMessages([new ChatMessage(ChatRole.User, text)]);

    private static OutputConstraint Constraint(string kind) => kind switch
    {
        "schema" => OutputConstraint.JsonSchema(Schema),
        "object" => OutputConstraint.JsonObject,
        "regex" => OutputConstraint.Regex("The answer is [0-9]{1,3}\\.( It is (big|small)!)?"),
        _ => OutputConstraint.Choice(["seven", "seventeen", "Seven.", "\u00E9"]),
    };

    private static void Check(string kind, string text)
    {
        switch (kind)
        {
            case "schema" or "object":
                using (JsonDocument schema = JsonDocument.Parse(kind == "schema" ? Schema : """{"type":"object"}"""))
                using (JsonDocument answer = JsonDocument.Parse(text))
                {
                    Assert.Null(new SchemaValidator(schema.RootElement).Check(answer.RootElement));
                }

                break;
            case "regex":
                Assert.Matches(new Regex("^The answer is [0-9]{1,3}\\.( It is (big|small)!)?\\z"), text);
                break;
            default:
                Assert.Contains(text, new[] { "seven", "seventeen", "Seven.", "\u00E9" });
                break;
        }
    }
}
