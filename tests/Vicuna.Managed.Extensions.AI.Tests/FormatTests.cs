using System.Text.Json;
using Microsoft.Extensions.AI;
using Vicuna.Managed.Extensions.AI.Tests.Support;

namespace Vicuna.Managed.Extensions.AI.Tests;

/// <summary>Formats of answers, enforced whatever the model says: this one knows no JSON at all.</summary>
public sealed class FormatTests(Pico pico)
{
    private const string Schema = """
        {
          "type": "object",
          "properties": { "answer": { "type": "string", "enum": ["seven", "eight"] }, "sure": { "type": "boolean" } },
          "required": ["answer", "sure"],
          "additionalProperties": false
        }
        """;

    public enum Number
    {
        Six,
        Seven,
    }

    [Fact]
    public async Task Json_IsAnObject()
    {
        ChatOptions options = Pico.Greedy;
        options.ResponseFormat = ChatResponseFormat.Json;
        ChatResponse response = await pico.Client.GetResponseAsync(Pico.Question, options);
        Assert.StartsWith("{", response.Text.TrimStart(), StringComparison.Ordinal);
        if (response.FinishReason == ChatFinishReason.Stop)
        {
            Assert.Equal(JsonValueKind.Object, JsonDocument.Parse(response.Text).RootElement.ValueKind);
        }
    }

    [Fact]
    public async Task JsonSchema_IsKept()
    {
        ChatOptions options = Pico.Greedy;
        options.ResponseFormat = FormatOf(Schema);
        for (int seed = 0; seed < 5; seed++)
        {
            options.Temperature = seed;
            options.Seed = seed;
            ChatResponse response = await pico.Client.GetResponseAsync(Pico.Question, options);
            Assert.Equal(ChatFinishReason.Stop, response.FinishReason);
            JsonElement root = JsonDocument.Parse(response.Text).RootElement;
            Assert.Equal(["answer", "sure"], root.EnumerateObject().Select(property => property.Name));
            Assert.Contains(root.GetProperty("answer").GetString(), new[] { "seven", "eight" });
            Assert.True(root.GetProperty("sure").ValueKind is JsonValueKind.True or JsonValueKind.False);
        }
    }

    [Fact]
    public async Task JsonSchema_ThatIsLessThanStrict_IsMadeSo()
    {
        ChatOptions options = Pico.Greedy;
        options.ResponseFormat = FormatOf("""{"type":"object","properties":{"sure":{"type":"boolean"}}}""");
        ChatResponse response = await pico.Client.GetResponseAsync(Pico.Question, options);
        Assert.Equal("sure", Assert.Single(JsonDocument.Parse(response.Text).RootElement.EnumerateObject()).Name);
    }

    [Fact]
    public async Task JsonSchema_OfADotNetType_GivesTheType()
    {
        ChatResponse<Sum> response = await pico.Client.GetResponseAsync<Sum>(Pico.Question, Pico.Greedy, useJsonSchemaResponseFormat: true);
        Assert.True(response.TryGetResult(out Sum? sum), response.Text);
        Assert.True(Enum.IsDefined(sum.Result));
    }

    [Fact]
    public async Task JsonSchema_ThatIsNotSupported_IsRefused()
    {
        ChatOptions options = new() { ResponseFormat = FormatOf("""{"type":"object","properties":{"a":{"$ref":"#/$defs/missing"}}}""") };
        await Assert.ThrowsAsync<ArgumentException>(() => pico.Client.GetResponseAsync(Pico.Question, options));
    }

    [Fact]
    public async Task Text_IsAnyText()
    {
        ChatOptions options = Pico.Greedy;
        options.ResponseFormat = ChatResponseFormat.Text;
        Assert.Equal(Pico.Answer, (await pico.Client.GetResponseAsync(Pico.Question, options)).Text);
    }

    [Fact]
    public async Task Characters_OfSeveralTokens_AreNeverSplit()
    {
        const string Text = "größer 😀 als 日本";
        ChatOptions options = new() { Temperature = 0, RawRepresentationFactory = _ => new GenerationOptions { Constraint = OutputConstraint.Choice([Text]) } };
        List<ChatResponseUpdate> updates = await pico.Client.GetStreamingResponseAsync(Pico.Question, options).ToListAsync();
        Assert.True(((GenerationChunk)updates[^1].RawRepresentation!).Result!.TokenIds.Count > Text.Length, "No character took several tokens.");
        Assert.All(updates, update => Assert.DoesNotContain('\uFFFD', update.Text));
        Assert.All(
            updates.Where(update => update.Text.Length > 0),
            update => Assert.False(char.IsHighSurrogate(update.Text[^1]) || char.IsLowSurrogate(update.Text[0])));
        Assert.Equal(Text, string.Concat(updates.Select(update => update.Text)));
    }

    private static ChatResponseFormatJson FormatOf(string schema) => ChatResponseFormat.ForJsonSchema(JsonDocument.Parse(schema).RootElement);

    public sealed record Sum(Number Result, bool IsEven);
}
