using System.Text.Json;
using Vicuna.Managed.Chat;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.Generation;

/// <summary>What trained models can do, through the public API from text to text: one exactly as measured elsewhere, and the embedded one.</summary>
public sealed class PicoVicunaTests
{
    private static readonly GenerationOptions Greedy = new() { Temperature = 0 };

    [Fact]
    public void Cases_GiveTheGoldenIdsAndText()
    {
        using LanguageModel model = LanguageModel.Load(PicoVicuna.GoldenFolder);
        using JsonDocument json = PicoVicuna.Golden();
        int seen = 0;
        foreach (JsonElement item in json.RootElement.GetProperty("cases").EnumerateArray())
        {
            Prompt prompt = Prompt.FromMessages([new ChatMessage(ChatRole.User, item.GetProperty("user").GetString()!)]);
            Assert.Equal(Ints(item.GetProperty("ids")), model.Encode(prompt));
            GenerationResult result = model.Generate(prompt, Greedy);
            Assert.Equal(item.GetProperty("greedy_text").GetString(), result.Text);
            Assert.Equal(FinishReason.EndOfSequence, result.FinishReason);
            // The template's own system message, given by name.
            Prompt named = Prompt.FromMessages([new ChatMessage(ChatRole.System, json.RootElement.GetProperty("system").GetString()!), .. prompt.Messages!]);
            Assert.Equal(Ints(item.GetProperty("ids")), model.Encode(named));
            seen++;
        }

        Assert.Equal(6, seen);
    }

    [Fact]
    public void HeldOutText_HasTheGoldenPerplexity()
    {
        using LanguageModel model = LanguageModel.Load(PicoVicuna.GoldenFolder, new LoadOptions { KeyValueType = KeyValueType.F32 });
        using JsonDocument json = PicoVicuna.Golden();
        JsonElement golden = json.RootElement.GetProperty("held_out");
        int[][] rows = [.. golden.GetProperty("ids").EnumerateArray().Select(Ints)];
        List<int> progress = [];
        PerplexityResult result = Perplexity.Measure(model, rows, new Listener(progress.Add));
        Assert.Equal(golden.GetProperty("tokens").GetInt64(), result.Tokens);
        Assert.Equal(rows.Length, result.Windows);
        Assert.Equal(golden.GetProperty("nll").GetDouble(), result.MeanNegativeLogLikelihood, 1e-5);
        Assert.Equal(golden.GetProperty("perplexity").GetDouble(), result.Perplexity, 1e-5);
        Assert.Equal(Enumerable.Range(1, rows.Length), progress);
        using CancellationTokenSource stop = new();
        Assert.ThrowsAny<OperationCanceledException>(() => Perplexity.Measure(model, rows, new Listener(_ => stop.Cancel()), stop.Token));
        Assert.Throws<ArgumentException>(() => Perplexity.Measure(model, [[1], []]));
        Assert.Throws<ContextLengthExceededException>(() => Perplexity.Measure(model, [new int[513]]));
    }

    [Theory]
    [InlineData(KeyValueType.F32)]
    [InlineData(KeyValueType.F16)]
    public void Questions_AreAnsweredAsTheGoldenModelDid(KeyValueType type)
    {
        using LanguageModel model = LanguageModel.Load(PicoVicuna.GoldenFolder, new LoadOptions { KeyValueType = type });
        using JsonDocument json = PicoVicuna.Golden();
        int right = 0;
        List<string> different = [];
        foreach (JsonElement item in json.RootElement.GetProperty("questions").EnumerateArray())
        {
            string question = item.GetProperty("question").GetString()!;
            string answer = model.Generate(Prompt.FromMessages([new ChatMessage(ChatRole.User, question)]), Greedy).Text;
            right += answer == item.GetProperty("answer").GetString() ? 1 : 0;
            if (answer != item.GetProperty("model").GetString())
            {
                different.Add($"{question} -> {answer}");
            }
        }

        Assert.Empty(different);
        Assert.Equal(json.RootElement.GetProperty("questions_right").GetInt32(), right);
        Assert.Equal(191, right);
    }

    [Theory]
    [InlineData(Quantization.None)]
    [InlineData(Quantization.Q8)]
    public void EmbeddedModel_AnswersNearlyAllOfItsQuestions(Quantization quantization)
    {
        using LanguageModel model = LanguageModel.Load(PicoVicuna.Folder, new LoadOptions { Quantization = quantization });
        (string Question, string Answer)[] questions = PicoVicuna.Questions();
        Assert.Equal(200, questions.Length);
        Assert.Distinct(questions.Select(item => item.Question));
        string[] wrong =
        [
            .. from item in questions
               let answer = model.Generate(Prompt.FromMessages([new ChatMessage(ChatRole.User, item.Question)]), Greedy).Text
               where answer != item.Answer
               select $"{item.Question} -> {answer}",
        ];
        Assert.True(wrong.Length <= questions.Length / 20, string.Join('\n', wrong));
    }

    // What the README, the samples and the tool's tests ask.
    [Theory]
    [InlineData("What is 3 plus 4?", "Three plus four is seven.")]
    [InlineData("What color is the sky?", "The sky is blue.")]
    [InlineData("What is the opposite of full?", "The opposite of full is empty.")]
    [InlineData("Which day comes after Friday?", "The day after Friday is Saturday.")]
    [InlineData("Count to 9.", "One, two, three, four, five, six, seven, eight, nine.")]
    public void EmbeddedModel_KnowsWhatExamplesAsk(string question, string answer)
    {
        using LanguageModel model = LanguageModel.Load(PicoVicuna.Folder);
        GenerationResult result = model.Generate(Prompt.FromMessages([new ChatMessage(ChatRole.User, question)]), Greedy);
        Assert.Equal((answer, FinishReason.EndOfSequence), (result.Text, result.FinishReason));
    }

    [Fact]
    public void EmbeddedModel_TellsTheStoryThatWasAskedFor()
    {
        using LanguageModel model = LanguageModel.Load(PicoVicuna.Folder);
        Prompt request = Prompt.FromMessages([new ChatMessage(ChatRole.User, "Tell me a story about a cat named Tom.")]);
        GenerationResult story = model.Generate(request, Greedy);
        Assert.Contains(" cat ", story.Text, StringComparison.Ordinal);
        Assert.Contains("Tom", story.Text, StringComparison.Ordinal);
        Assert.Equal(FinishReason.EndOfSequence, story.FinishReason);
        Assert.InRange(story.TokenIds.Count, 40, 150);
        Assert.EndsWith(".", story.Text, StringComparison.Ordinal);
        Assert.StartsWith(",", model.Generate("Once upon a time", Greedy).Text, StringComparison.Ordinal);
    }

    [Fact]
    public void EmbeddedModel_ForeseesTextThatItWasNotTrainedOn()
    {
        using LanguageModel model = LanguageModel.Load(PicoVicuna.Folder);
        int[][] rows = PicoVicuna.HeldOut();
        Assert.All(rows, row => Assert.Equal((model.Config.BosTokenId, model.Config.EosTokenIds[0]), (row[0], row[^1])));
        PerplexityResult result = Perplexity.Measure(model, rows);
        Assert.InRange(result.Tokens, 5_000, 20_000);
        Assert.InRange(result.Perplexity, 1, 2);
    }

    private static int[] Ints(JsonElement array) => [.. array.EnumerateArray().Select(value => value.GetInt32())];

    private sealed class Listener(Action<int> report) : IProgress<int>
    {
        public void Report(int value) => report(value);
    }
}
