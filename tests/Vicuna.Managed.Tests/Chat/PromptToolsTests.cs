using System.Text.Json;
using Vicuna.Managed.Chat;

namespace Vicuna.Managed.Tests.Chat;

/// <summary>Tools described in the prompt: the description, the answer's schema, and the answer read back.</summary>
public sealed class PromptToolsTests
{
    private const string City = """{"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}""";

    private static readonly PromptTool Weather = new("get_weather", " The weather of a city. ", City);
    private static readonly PromptTool Time = new("get-time");

    [Fact]
    public void Instructions_NameEveryToolWithItsSchema()
    {
        string text = new PromptTools([Weather, Time]).Instructions;

        Assert.Contains("""- get_weather: The weather of a city. {"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}""", text);
        Assert.Contains("""- get-time {"type":"object","properties":{},""", text);
        Assert.Contains("""{"answer": "your words"}""", text);
    }

    [Fact]
    public void Instructions_CallRequired_DoNotSpeakOfWords() =>
        Assert.DoesNotContain("answer\"", new PromptTools([Weather], isCallRequired: true).Instructions);

    [Fact]
    public void Schema_AnyTool_HasABranchForEachAndOneForWords()
    {
        using JsonDocument schema = JsonDocument.Parse(new PromptTools([Weather, Time]).Schema);

        JsonElement[] branches = [.. schema.RootElement.GetProperty("anyOf").EnumerateArray()];
        Assert.Equal(3, branches.Length);
        JsonElement call = branches[0].GetProperty("properties");
        Assert.Equal("get_weather", call.GetProperty("tool").GetProperty("const").GetString());
        Assert.Equal("#/$defs/get_weather", call.GetProperty("arguments").GetProperty("$ref").GetString());
        Assert.Equal(["tool", "arguments"], branches[1].GetProperty("required").EnumerateArray().Select(name => name.GetString()));
        Assert.Equal("string", branches[2].GetProperty("properties").GetProperty("answer").GetProperty("type").GetString());
        Assert.All(branches, branch => Assert.False(branch.GetProperty("additionalProperties").GetBoolean()));
        Assert.Equal(["get_weather", "get-time"], schema.RootElement.GetProperty("$defs").EnumerateObject().Select(definition => definition.Name));
    }

    [Fact]
    public void Schema_OneTool_IsThatCallAlone()
    {
        using JsonDocument schema = JsonDocument.Parse(new PromptTools([Weather, Time], onlyTool: "get-time").Schema);

        Assert.False(schema.RootElement.TryGetProperty("anyOf", out _));
        Assert.Equal("get-time", schema.RootElement.GetProperty("properties").GetProperty("tool").GetProperty("const").GetString());
        Assert.Single(schema.RootElement.GetProperty("$defs").EnumerateObject());
    }

    [Theory]
    [InlineData("#", "#/$defs/t")]
    [InlineData("#/$defs/node", "#/$defs/t:node")]
    [InlineData("#/definitions/node", "#/$defs/t:node")]
    [InlineData("#/properties/next", "#/$defs/t/properties/next")]
    public void Schema_References_FollowTheirTargets(string reference, string expected)
    {
        string parameters = $$$"""
            {"type": "object", "properties": {"next": {"$ref": "{{{reference}}}"}, "$ref": {"enum": [{"$ref": "#"}]}},
             "$defs": {"node": {"$ref": "#"}}, "definitions": {}}
            """;

        using JsonDocument schema = JsonDocument.Parse(new PromptTools([new PromptTool("t", null, parameters)]).Schema);

        JsonElement definitions = schema.RootElement.GetProperty("$defs");
        JsonElement properties = definitions.GetProperty("t").GetProperty("properties");
        Assert.Equal(expected, properties.GetProperty("next").GetProperty("$ref").GetString());
        Assert.Equal("#", properties.GetProperty("$ref").GetProperty("enum")[0].GetProperty("$ref").GetString());
        Assert.Equal("#/$defs/t", definitions.GetProperty("t:node").GetProperty("$ref").GetString());
        Assert.False(definitions.GetProperty("t").TryGetProperty("$defs", out _));
    }

    [Theory]
    [InlineData("", "{}", "Tool 0")]
    [InlineData("two words", "{}", "Tool 0")]
    [InlineData("t", "[]", "t")]
    [InlineData("t", "{", "t")]
    [InlineData("t", """{"\ud800": 1}""", "surrogate")]
    [InlineData("t", """{"$ref": "\ud800"}""", "surrogate")]
    [InlineData("t", """{"type": "string"}""", "'object', found \"string\"")]
    [InlineData("t", """{"type": ["array", "null"]}""", "'object', found [\"array\", \"null\"]")]
    [InlineData("t", """{"type": 5}""", "'object', found 5")]
    [InlineData("t", """{"type": "\ud800"}""", "surrogate")]
    public void Constructor_MalformedTool_IsRefusedByName(string name, string parameters, string message) =>
        Assert.Contains(message, Assert.Throws<ArgumentException>(() => new PromptTools([new PromptTool(name, null, parameters)])).Message);

    [Fact]
    public void Constructor_NoToolOrTwoOfANameOrAnUnknownOne_IsRefused()
    {
        Assert.Throws<ArgumentException>(() => new PromptTools([]));
        Assert.Throws<ArgumentException>(() => new PromptTools([.. Enumerable.Range(0, PromptTools.MaxTools + 1).Select(i => new PromptTool($"t{i}"))]));
        Assert.Contains("get-time", Assert.Throws<ArgumentException>(() => new PromptTools([Time, Time])).Message);
        Assert.Contains("get_tide", Assert.Throws<ArgumentException>(() => new PromptTools([Time], onlyTool: "get_tide")).Message);
    }

    [Fact]
    public void Reader_Words_ComeAsTheyAreRead_WhateverThePieces()
    {
        const string Words = "Grüße, \"Welt\"\n\\ \u0001 \U0001F600 end";
        string written = PromptTools.FormatAnswer(Words).Replace("\U0001F600", @"\ud83d\ude00", StringComparison.Ordinal);
        for (int length = 1; length <= written.Length; length++)
        {
            PromptToolReader reader = new();
            Assert.Null(reader.IsWords);

            List<string> pieces = [.. written.Chunk(length).Select(piece => reader.Read(new string(piece)))];

            Assert.Equal(Words, string.Concat(pieces));
            Assert.All(pieces, piece => Assert.False(piece.Length > 0 && (char.IsHighSurrogate(piece[^1]) || char.IsLowSurrogate(piece[0]))));
            Assert.True(reader.IsWords);
            Assert.Null(reader.GetCall());
        }
    }

    [Theory]
    [InlineData("""{ "answer" : "a\ud800b" }""", "a\uFFFDb")]
    [InlineData("""{"answer":"a\ud800"}""", "a\uFFFD")]
    [InlineData("""{"answer":"a\udc00\/"}""", "a\uFFFD/")]
    [InlineData("""{"answer":"cut off""", "cut off")]
    [InlineData("{\"answer\":\"cut off\\", "cut off")]
    public void Reader_OddWords_AreUnicodeAllTheSame(string written, string expected) => Assert.Equal(expected, new PromptToolReader().Read(written));

    [Fact]
    public void Reader_Call_IsWholeAtTheEnd()
    {
        PromptToolCall call = new("get_weather", """{"city":"Köln \"Süd\""}""");
        PromptToolReader reader = new();
        foreach (char character in PromptTools.FormatCall(call))
        {
            Assert.Null(reader.GetCall());
            Assert.Empty(reader.Read(character.ToString()));
        }

        Assert.False(reader.IsWords);
        Assert.Equal(call, reader.GetCall());
    }

    [Theory]
    [InlineData("{}", """{"type":"object"}""")]
    [InlineData("""{"description": "None."}""", """{"type":"object","description":"None."}""")]
    [InlineData("""{"properties": {"a": {}}}""", """{"type":"object","properties":{"a":{}}}""")]
    [InlineData("""{"type": ["null", "object"]}""", """{"type":"object"}""")]
    [InlineData("""{"anyOf": [{"type": "object"}]}""", """{"anyOf":[{"type":"object"}]}""")]
    public void Schema_OfArguments_IsAnObjects(string parameters, string expected)
    {
        string schema = new PromptTools([new PromptTool("t", null, parameters)]).Schema;
        Assert.Equal(expected, JsonDocument.Parse(schema).RootElement.GetProperty("$defs").GetProperty("t").GetRawText());
        Assert.NotNull(OutputConstraint.JsonSchema(schema));
    }

    [Theory]
    [InlineData("""{"city":"\ud800"}""")]
    [InlineData("""{"\ud800":1}""")]
    public void FormatCall_HalfASurrogatePair_IsRefusedByName(string arguments) =>
        Assert.Contains("get_weather", Assert.Throws<ArgumentException>(() => PromptTools.FormatCall(new PromptToolCall("get_weather", arguments))).Message);

    [Fact]
    public void FormatCall_ArgumentsThatAreNoObject_AreRefused() =>
        Assert.Contains("get_weather", Assert.Throws<ArgumentException>(() => PromptTools.FormatCall(new PromptToolCall("get_weather", "nothing"))).Message);

    [Fact]
    public void FormatResult_NamesTheTool() => Assert.Equal("Result of get_weather: 17 degrees", PromptTools.FormatResult("get_weather", "17 degrees"));
}
