using System.Globalization;
using System.Text.Json;

namespace Vicuna.Managed.Tests.Constraints;

/// <summary>JSON schemas keyword by keyword: what a constraint allows and what it refuses.</summary>
public sealed class JsonSchemaTests
{
    private const string Person = """
        {"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"}},"required":["name","age"],"additionalProperties":false}
        """;

    // Read as a double, 99.999999999999999 is 100.
    private const string Bounded = """{"type":"number","exclusiveMaximum":100}""";

    private const string LikeNames = """
        {"type":"object","properties":{"x":{"type":["object","null"],"properties":{}},"x (object)":{"type":"integer"}},"required":["x","x (object)"]}
        """;

    private const string Optional = """
        {"type":"object","properties":{"a":{"type":"null"},"b":{"type":"null"},"c":{"type":"null"}},"required":["b"]}
        """;

    private const string List = """
        {"$defs":{"node":{"type":"object","properties":{"value":{"type":"integer"},"next":{"anyOf":[{"$ref":"#/$defs/node"},{"type":"null"}]}},
        "required":["value","next"],"additionalProperties":false}},"$ref":"#/$defs/node"}
        """;

    private const string Tree = """{"type":"object","properties":{"children":{"type":"array","items":{"$ref":"#"}}},"required":["children"],"additionalProperties":false}""";

    [Theory]
    [InlineData(Person, """{"name":"A","age":3}""", true)]
    [InlineData(Person, "{\n  \"name\": \"A\",\n  \"age\": 3\n}", true)]
    [InlineData(Person, """{"age":3,"name":"A"}""", false)]
    [InlineData(Person, """{"name":"A"}""", false)]
    [InlineData(Person, """{"name":"A","age":3,"x":1}""", false)]
    [InlineData(Person, """{"name":"A","age":3.5}""", false)]
    [InlineData(Person, """{"name":"A","age":3} """, false)]
    [InlineData(Person, """ {"name":"A","age":3}""", false)]
    [InlineData(Bounded, "99.999999999999", true)]
    [InlineData(Bounded, "99.999999999999999", false)]
    [InlineData(LikeNames, """{"x":null,"x (object)":1}""", true)]
    [InlineData(LikeNames, """{"x":{},"x (object)":1}""", true)]
    [InlineData(LikeNames, """{"x":1,"x (object)":1}""", false)]
    [InlineData(Optional, """{"a":null,"b":null,"c":null}""", true)]
    [InlineData(Optional, """{"b":null}""", true)]
    [InlineData(Optional, """{"b":null,"c":null}""", true)]
    [InlineData(Optional, """{"a":null,"c":null}""", false)]
    [InlineData(Optional, """{,"b":null}""", false)]
    [InlineData(Optional, """{"b":null,}""", false)]
    [InlineData("""{"type":"object","properties":{}}""", "{}", true)]
    [InlineData("""{"type":"object","properties":{}}""", """{"a":1}""", false)]
    [InlineData("""{"type":"object"}""", """{"a":[1,{"b":null}]}""", true)]
    [InlineData("""{"type":"object","additionalProperties":{"type":"integer"}}""", """{"x":1, "y":2}""", true)]
    [InlineData("""{"type":"object","additionalProperties":{"type":"integer"}}""", """{"x":"1"}""", false)]
    [InlineData("""{"type":"object","properties":{"a\"/~\u00e9":{"type":"null"}},"required":["a\"/~\u00e9"]}""", "{\"a\\\"/~\u00e9\":null}", true)]
    [InlineData("""{"type":"string","minLength":2,"maxLength":3}""", "\"a\U0001F600\"", true)]
    [InlineData("""{"type":"string","minLength":2,"maxLength":3}""", "\"\\ud83d\\ude00\\n\"", true)]
    [InlineData("""{"type":"string","minLength":2,"maxLength":3}""", "\"\\ud83d\\ude00\"", false)]
    [InlineData("""{"type":"string","minLength":2,"maxLength":3}""", "\"a\"", false)]
    [InlineData("""{"type":"string","minLength":2,"maxLength":3}""", "\"abcd\"", false)]
    [InlineData("""{"type":"string"}""", "\"\\ud800\"", false)]
    [InlineData("""{"type":"string"}""", "\"\\u00\"", false)]
    [InlineData("""{"type":"string"}""", "\"a\nb\"", false)]
    [InlineData("""{"type":"string","pattern":"^[a-c]+$"}""", "\"abc\"", true)]
    [InlineData("""{"type":"string","pattern":"^[a-c]+$"}""", "\"abd\"", false)]
    [InlineData("""{"type":"string","pattern":"b"}""", "\"abc\"", true)]
    [InlineData("""{"type":"string","pattern":"^\"\\\\$"}""", "\"\\\"\\\\\"", true)]
    [InlineData("""{"type":"string","pattern":"a","maxLength":2}""", "\"xa\"", true)]
    [InlineData("""{"type":"string","pattern":"a","maxLength":2}""", "\"xxa\"", false)]
    [InlineData("""{"type":"string","format":"date"}""", "\"2024-02-29\"", true)]
    [InlineData("""{"type":"string","format":"date"}""", "\"2023-02-29\"", false)]
    [InlineData("""{"type":"string","format":"date"}""", "\"2100-02-29\"", false)]
    [InlineData("""{"type":"string","format":"date-time"}""", "\"2024-12-31T23:59:59.5+02:00\"", true)]
    [InlineData("""{"type":"string","format":"time"}""", "\"24:00:00Z\"", false)]
    [InlineData("""{"type":"string","format":"duration"}""", "\"P1DT2H\"", true)]
    [InlineData("""{"type":"string","format":"duration"}""", "\"P\"", false)]
    [InlineData("""{"type":"string","format":"email"}""", "\"a.b@example.org\"", true)]
    [InlineData("""{"type":"string","format":"email"}""", "\"a@b\"", false)]
    [InlineData("""{"type":"string","format":"hostname"}""", "\"a-b.example.org\"", true)]
    [InlineData("""{"type":"string","format":"hostname"}""", "\"-a\"", false)]
    [InlineData("""{"type":"string","format":"ipv4"}""", "\"192.168.0.255\"", true)]
    [InlineData("""{"type":"string","format":"ipv4"}""", "\"192.168.0.256\"", false)]
    [InlineData("""{"type":"string","format":"ipv6"}""", "\"fe80::1\"", true)]
    [InlineData("""{"type":"string","format":"ipv6"}""", "\"1:2:3:4:5:6:7:8:9\"", false)]
    [InlineData("""{"type":"string","format":"uuid"}""", "\"123e4567-e89b-12d3-a456-426614174000\"", true)]
    [InlineData("""{"type":"integer"}""", "-12", true)]
    [InlineData("""{"type":"integer"}""", "007", false)]
    [InlineData("""{"type":"integer"}""", "-0", false)]
    [InlineData("""{"type":"number"}""", "-0.5e-7", true)]
    [InlineData("""{"type":"number"}""", ".5", false)]
    [InlineData("""{"type":"boolean"}""", "true", true)]
    [InlineData("""{"type":"boolean"}""", "null", false)]
    [InlineData("""{"type":["string","null"]}""", "null", true)]
    [InlineData("""{"type":["string","null"]}""", "\"x\"", true)]
    [InlineData("""{"type":["array","object","integer"],"items":{"type":"null"},"properties":{"a":{"type":"null"}}}""", "[null]", true)]
    [InlineData("""{"type":["array","object","integer"],"items":{"type":"null"},"properties":{"a":{"type":"null"}}}""", """{"a":null}""", true)]
    [InlineData("""{"type":["array","object","integer"],"items":{"type":"null"},"properties":{"a":{"type":"null"}}}""", "7", true)]
    [InlineData("""{"enum":["a","b c",3,null,[1,{"x":"y"}]]}""", """[1,{"x":"y"}]""", true)]
    [InlineData("""{"enum":["a","b c",3,null]}""", "\"b c\"", true)]
    [InlineData("""{"enum":["a","b c",3,null]}""", "\"b\"", false)]
    [InlineData("""{"type":"string","enum":["a",1]}""", "1", false)]
    [InlineData("""{"const":"x\n"}""", "\"x\\n\"", true)]
    [InlineData("""{"anyOf":[{"type":"integer"},{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]},{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}]}""", """{"a":"1"}""", true)]
    [InlineData("""{"allOf":[{"$ref":"#/$defs/n"}],"default":1,"$defs":{"n":{"type":"integer","title":"N"}}}""", "1", true)]
    [InlineData("""{"type":"array","items":{"type":"integer"},"minItems":2,"maxItems":3}""", "[1, 2]", true)]
    [InlineData("""{"type":"array","items":{"type":"integer"},"minItems":2,"maxItems":3}""", "[1]", false)]
    [InlineData("""{"type":"array","items":{"type":"integer"},"minItems":2,"maxItems":3}""", "[1,2,3,4]", false)]
    [InlineData("""{"type":"array","items":{"type":"integer"}}""", "[]", true)]
    [InlineData("""{"type":"array","maxItems":0}""", "[]", true)]
    [InlineData("""{"type":"array","maxItems":0}""", "[1]", false)]
    [InlineData("""{"type":"integer","multipleOf":7}""", "-21", true)]
    [InlineData("""{"type":"integer","multipleOf":7}""", "22", false)]
    [InlineData("""{"type":"number","multipleOf":0.01}""", "3.14", true)]
    [InlineData("""{"type":"number","multipleOf":0.01}""", "3.141", false)]
    [InlineData("true", """[{"a":"b"},1.5,null]""", true)]
    [InlineData("{}", "\"x\"", true)]
    [InlineData(List, """{"value":1,"next":{"value":2,"next":null}}""", true)]
    [InlineData(List, """{"value":1,"next":{"value":2}}""", false)]
    [InlineData(Tree, """{"children":[{"children":[]},{"children":[]}]}""", true)]
    public void Schema_AllowsOrNot(string schema, string text, bool allowed) => Assert.Equal(allowed, OutputConstraint.JsonSchema(schema).Allows(text));

    [Theory]
    [InlineData("""{"type":"object","properties":{"a":{"type":"array","items":{"type":"strin"}}}}""", "#/properties/a/items", "'strin'")]
    [InlineData("""{"type":"object","properties":{"a/b":{"not":{}}}}""", "#/properties/a~1b", "'not'")]
    [InlineData("""{"type":"string","contentEncoding":"base64"}""", "#", "'contentEncoding'")]
    [InlineData("""{"oneOf":[{"type":"string"}]}""", "#", "'oneOf'")]
    [InlineData("""{"allOf":[{"type":"string"},{"minLength":1}]}""", "#", "'allOf'")]
    [InlineData("""{"anyOf":[{"type":"string"}],"properties":{}}""", "#", "'properties'")]
    [InlineData("""{"anyOf":[]}""", "#", "anyOf")]
    [InlineData("""{"enum":["a"],"minLength":1}""", "#", "'minLength'")]
    [InlineData("""{"enum":[]}""", "#", "enum")]
    [InlineData("""{"type":"array","uniqueItems":true}""", "#", "'uniqueItems'")]
    [InlineData("""{"type":"array","prefixItems":[]}""", "#", "'prefixItems'")]
    [InlineData("""{"type":"array","minItems":3,"maxItems":2}""", "#", "'minItems'")]
    [InlineData("""{"type":"object","minProperties":1}""", "#", "'minProperties'")]
    [InlineData("""{"type":"object","properties":{"a":{}},"required":["b"]}""", "#", "'b'")]
    [InlineData("""{"type":"object","properties":[]}""", "#", "'properties'")]
    [InlineData("""{"type":"object","properties":{"a":{"type":"integer","minimum":5,"maximum":4}}}""", "#/properties/a", "between the bounds")]
    [InlineData("""{"type":"integer","minimum":1,"maximum":6,"multipleOf":7,"exclusiveMinimum":0}""", "#", "no value")]
    [InlineData("""{"type":"number","multipleOf":0.3}""", "#", "'multipleOf'")]
    [InlineData("""{"type":"integer","multipleOf":0}""", "#", "'multipleOf'")]
    [InlineData("""{"type":"integer","minimum":"1"}""", "#", "'minimum'")]
    [InlineData("""{"type":"string","maxLength":-1}""", "#", "'maxLength'")]
    [InlineData("""{"type":"string","pattern":"(?=a)"}""", "#", "lookaround")]
    [InlineData("""{"type":"string","pattern":"^a+$","maxLength":0}""", "#", "no value")]
    [InlineData("""{"type":"string","format":"iri"}""", "#", "'iri'")]
    [InlineData("""{"$ref":"#/$defs/none"}""", "#", "'#/$defs/none'")]
    [InlineData("""{"$ref":"other.json"}""", "#", "'other.json'")]
    [InlineData("""{"$ref":"#"}""", "#", "refers to itself")]
    [InlineData("""{"$ref":"#/$defs/a","minLength":1,"$defs":{"a":{}}}""", "#", "'minLength'")]
    [InlineData("""{"$defs":{"a":{"anyOf":[{"$ref":"#/$defs/b"},{"type":"null"}]},"b":{"anyOf":[{"$ref":"#/$defs/a"}]}},"$ref":"#/$defs/a"}""", "#/$defs/", "refers to itself")]
    [InlineData("""{"type":"object","properties":{"me":{"$ref":"#"}},"required":["me"]}""", "#", "no text of at most 32")]
    [InlineData("false", "#", "'false'")]
    [InlineData("5", "#", "expected a schema")]
    [InlineData("""{"type":"object","properties":{"a":7}}""", "#/properties/a", "expected a schema")]
    [InlineData("""{"type":7}""", "#", "'type'")]
    public void Schema_ThatCannotBeEnforced_IsRefusedByPlaceAndName(string schema, string place, string name)
    {
        string message = Assert.Throws<ArgumentException>(() => OutputConstraint.JsonSchema(schema)).Message;
        Assert.Contains($"at {place}", message, StringComparison.Ordinal);
        Assert.Contains(name, message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("""{"type":"string","type":"null"}""")]
    [InlineData("""{"const":"\ud800"}""")]
    [InlineData("""{"\ud800":1}""")]
    public void Text_ThatIsNoSchema_IsRefused(string schema) =>
        Assert.StartsWith("JSON schema: ", Assert.Throws<ArgumentException>(() => OutputConstraint.JsonSchema(schema)).Message, StringComparison.Ordinal);

    [Fact]
    public async Task HostileSchemas_AreRefusedSoon()
    {
        string[] schemas =
        [
            string.Concat(Enumerable.Repeat("{\"items\":", 70)) + "{}" + new string('}', 70),
            "{\"const\":\"\ud800\"}",
            string.Concat(Enumerable.Repeat("{\"items\":", 5000)) + "{}" + new string('}', 5000),
            $"{{\"enum\":[{string.Join(',', Enumerable.Range(0, 6000))}]}}",
            $"{{\"type\":\"object\",\"properties\":{{{string.Join(',', Enumerable.Range(0, 6000).Select(i => $"\"p{i}\":{{}}"))}}}}}",
            """{"type":"string","minLength":99999}""",
            """{"type":"string","minLength":9999999}""",
            """{"type":"array","minItems":60000,"items":{"type":"null"}}""",
            """{"type":"string","pattern":"(a|b)*a(a|b){30}"}""",
            $"\"{new string('x', 600_000)}\"",
            $"{{\"anyOf\":[{string.Join(',', Enumerable.Range(0, 300).Select(i => $"{{\"type\":\"string\",\"maxLength\":{500 + i}}}"))}]}}",
            $"{{\"$ref\":\"#/$defs/0\",\"$defs\":{{{string.Join(',', Enumerable.Range(0, 100).Select(i => $"\"{i}\":{{\"$ref\":\"#/$defs/{i + 1}\"}}"))},\"100\":{{}}}}}}",
        ];
        string[] refusals = await ConstraintTexts.Soon(
            () => schemas.Select(schema => Assert.Throws<ArgumentException>(() => OutputConstraint.JsonSchema(schema)).Message).ToArray());
        Assert.All(refusals, message => Assert.StartsWith("JSON schema", message, StringComparison.Ordinal));
    }

    [Fact]
    public void LargeSchemas_OfUsualKinds_Compile()
    {
        Assert.True(OutputConstraint.JsonSchema($"{{\"enum\":[{string.Join(',', Enumerable.Range(0, 1000).Select(i => $"\"value number {i}\""))}]}}").Allows("\"value number 999\""));
        Assert.True(OutputConstraint.JsonSchema("""{"type":"string","maxLength":1000}""").Allows($"\"{new string('a', 1000)}\""));
        Assert.False(OutputConstraint.JsonSchema("""{"type":"string","maxLength":1000}""").Allows($"\"{new string('a', 1001)}\""));
        string properties = string.Join(',', Enumerable.Range(0, 100).Select(i => $"\"property{i}\":{{\"type\":\"string\"}}"));
        Assert.True(OutputConstraint.JsonSchema($"{{\"type\":\"object\",\"properties\":{{{properties}}}}}").Allows("""{"property7": "x", "property99": "y"}"""));
    }

    [Fact]
    public void IntegerRanges_AreExact()
    {
        Random random = new(3);
        for (int round = 0; round < 60; round++)
        {
            int low = random.Next(-1200, 1200);
            int high = low + random.Next(0, 1 << random.Next(1, 11));
            (bool excludesLow, bool excludesHigh) = (random.Next(3) == 0, random.Next(3) == 0);
            int step = random.Next(3) == 0 ? random.Next(1, 30) : 1;
            string schema = $"{{\"type\":\"integer\",\"{(excludesLow ? "exclusiveMinimum" : "minimum")}\":{low},\"{(excludesHigh ? "exclusiveMaximum" : "maximum")}\":{high},\"multipleOf\":{step}}}";
            int[] expected = [.. Enumerable.Range(-2600, 5200).Where(value => (excludesLow ? value > low : value >= low) && (excludesHigh ? value < high : value <= high) && value % step == 0)];
            if (expected.Length == 0)
            {
                Assert.Throws<ArgumentException>(() => OutputConstraint.JsonSchema(schema));
                continue;
            }

            OutputConstraint constraint = OutputConstraint.JsonSchema(schema);
            Vicuna.Managed.Constraints.PushdownMachine machine = new(constraint.Grammar);
            Assert.Equal(expected, Enumerable.Range(-2600, 5200).Where(value => ConstraintTexts.Run(machine, value.ToString(CultureInfo.InvariantCulture)) is { Accepts: true }));
        }

        Assert.True(OutputConstraint.JsonSchema("""{"type":"integer","minimum":1.5,"maximum":2.5}""").Allows("2"));
        Assert.True(OutputConstraint.JsonSchema("""{"type":"integer","minimum":-2.5,"maximum":-1.5}""").Allows("-2"));
        Assert.True(OutputConstraint.JsonSchema("""{"type":"integer","minimum":1e3,"maximum":1e300}""").Allows("1000"));
        Assert.False(OutputConstraint.JsonSchema("""{"type":"integer","minimum":1e3}""").Allows("999"));
        Assert.Throws<ArgumentException>(() => OutputConstraint.JsonSchema("""{"type":"integer","minimum":1e30}"""));
        Assert.True(OutputConstraint.JsonSchema("""{"type":"integer","minimum":-9223372036854775808,"maximum":9223372036854775807}""").Allows("-5"));
    }

    [Fact]
    public void NumberRanges_AreExact()
    {
        Random random = new(4);
        int inside = 0;
        for (int round = 0; round < 60; round++)
        {
            decimal low = Decimal(random);
            decimal high = low + Math.Abs(Decimal(random)) + 0.001m;
            (bool excludesLow, bool excludesHigh) = (random.Next(2) == 0, random.Next(2) == 0);
            string schema = string.Create(
                CultureInfo.InvariantCulture,
                $"{{\"type\":\"number\",\"{(excludesLow ? "exclusiveMinimum" : "minimum")}\":{low},\"{(excludesHigh ? "exclusiveMaximum" : "maximum")}\":{high}}}");
            Vicuna.Managed.Constraints.PushdownMachine machine = new(OutputConstraint.JsonSchema(schema).Grammar);
            foreach (decimal value in Enumerable.Range(0, 60).Select(_ => Decimal(random)).Append(low).Append(high).Append(low + 0.0001m).Append(high - 0.0001m).Append(low - 0.0001m).Append(0))
            {
                bool expected = (excludesLow ? value > low : value >= low) && (excludesHigh ? value < high : value <= high);
                inside += expected ? 1 : 0;
                string text = value.ToString(CultureInfo.InvariantCulture);
                Assert.True(expected == (ConstraintTexts.Run(machine, text) is { Accepts: true }), $"{schema} and {text}");
            }
        }

        Assert.True(inside > 200, $"{inside} inside");
    }

    [Fact]
    public void JsonObject_AllowsObjectsAlone()
    {
        OutputConstraint constraint = OutputConstraint.JsonObject;
        foreach (string text in new[] { "{}", "{ }", """{"a":[1,-2.5e3,true,null,"x\u00e9\n",{"b":{}}], "c":""}""", "{\n  \"a\": [\n    1\n  ]\n}" })
        {
            Assert.True(constraint.Allows(text), text);
            using JsonDocument parsed = JsonDocument.Parse(text);
        }

        foreach (string text in new[] { "[]", "{\"a\":1}}", "{\"a\" :1}", "{\"a\":01}", "{a:1}", "{\"a\":1,}", "{\"a\":  1}" })
        {
            Assert.False(constraint.Allows(text), text);
        }

        // As deep as it may be, and no deeper; from its deepest the text still can end.
        Assert.True(constraint.Allows(Nested(32)));
        Assert.False(constraint.AllowsBeginning(Nested(33)[..161]));
    }

    [Fact]
    public void RecursiveSchema_AtItsDeepest_CanStillEnd()
    {
        OutputConstraint list = OutputConstraint.JsonSchema(List);
        Assert.True(list.AllowsBeginning(string.Concat(Enumerable.Repeat("{\"value\":1,\"next\":", 32)) + "n"));
        Assert.False(list.AllowsBeginning(string.Concat(Enumerable.Repeat("{\"value\":1,\"next\":", 32)) + "{"));
        // A step that needs two levels to end is not begun with one left.
        const string Pairs = """{"type":"object","properties":{"a":{"anyOf":[{"type":"null"},{"type":"object","properties":{"b":{"$ref":"#"}},"required":["b"]}]}},"required":["a"]}""";
        OutputConstraint pairs = OutputConstraint.JsonSchema(Pairs);
        string thirty = string.Concat(Enumerable.Repeat("{\"a\":{\"b\":", 15));
        Assert.True(pairs.AllowsBeginning(thirty + "{\"a\":n"));
        Assert.False(pairs.AllowsBeginning(thirty + "{\"a\":{"));
    }

    private static string Nested(int depth) => string.Concat(Enumerable.Repeat("{\"a\":", depth - 1)) + "[]" + new string('}', depth - 1);

    private static decimal Decimal(Random random) => Math.Round((decimal)((random.NextDouble() - 0.5) * Math.Pow(10, random.Next(0, 5))), random.Next(0, 5));
}
