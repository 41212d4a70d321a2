using System.Text;
using System.Text.Json;
using Vicuna.Managed.Constraints;
using Vicuna.Managed.Tests.Support;
using Vicuna.Managed.Tokenization;

namespace Vicuna.Managed.Tests.Constraints;

/// <summary>Masks of tokens against all tokens tried one by one, and random walks through them.</summary>
public sealed class TokenMaskTests
{
    private const string Record = """
        {"type":"object","additionalProperties":false,"required":["name","born","tags","score","parent"],"properties":{
          "name":{"type":"string","minLength":1,"maxLength":40},"born":{"type":"string","format":"date"},"kind":{"enum":["cat","dog","bird \"x\""]},
          "tags":{"type":"array","items":{"type":"string","pattern":"^[a-z\u00e9]{1,6}$"},"minItems":1,"maxItems":4},
          "score":{"type":"number","minimum":-2.5,"exclusiveMaximum":10},"count":{"type":["integer","null"],"minimum":0,"maximum":300,"multipleOf":5},
          "parent":{"anyOf":[{"$ref":"#"},{"type":"null"},{"type":"object","properties":{"name":{"type":"boolean"}},"required":["name"]}]}}}
        """;

    private static readonly string[] Schemas =
    [
        Record,
        """{"type":"array","items":{"type":"string"}}""",
        """{"type":"object","properties":{"a":{"type":"string","format":"date-time"},"b":{"type":"string","format":"time"},"c":{"type":"string","format":"duration"},"d":{"type":"string","format":"email"},"e":{"type":"string","format":"hostname"},"f":{"type":"string","format":"ipv4"},"g":{"type":"string","format":"ipv6"},"h":{"type":"string","format":"uuid"}},"required":["a","b","c","d","e","f","g","h"]}""",
        """{"type":"object","additionalProperties":{"type":"array","items":{"$ref":"#"},"maxItems":3}}""",
    ];

    public static TheoryData<string> Vocabularies() => ["pico", "llama"];

    [Theory]
    [MemberData(nameof(Vocabularies))]
    public void Masks_AtRandomPlaces_AreThoseOfAllTokensTried(string vocabulary)
    {
        SentencePieceTokenizer tokenizer = Tokenizer(vocabulary);
        int places = 0;
        foreach (OutputConstraint constraint in Constraints())
        {
            Random random = new(places);
            CompiledConstraint compiled = constraint.For(tokenizer);
            for (int walk = 0; walk < 2; walk++)
            {
                bool strips = walk % 2 == 1;
                Configuration? at = compiled.Start;
                // A machine of its own: nothing that the masks remember is used.
                PushdownMachine machine = new(constraint.Grammar);
                Configuration reference = machine.Start;
                for (int step = 0; step < 10 && at is not null; step++)
                {
                    bool isAtStart = strips && step == 0;
                    ulong[] mask = new ulong[compiled.MaskLength];
                    compiled.Fill(at, isAtStart, mask);
                    int[] allowed = Bits(mask);
                    int[] tried = Tried(tokenizer, machine, reference, isAtStart);
                    Assert.True(
                        tried.AsSpan().SequenceEqual(allowed),
                        $"{constraint.Description}, walk {walk}, step {step}: {string.Join(' ', tried.Except(allowed).Concat(allowed.Except(tried)).Select(tokenizer.PieceText).Take(20))}");
                    places++;
                    if (allowed.Length == 0)
                    {
                        break;
                    }

                    int token = Choose(random, tokenizer, allowed);
                    at = compiled.Accept(at, token, isAtStart);
                    Assert.NotNull(at);
                    reference = After(machine, reference, TokenTrie.TextOf(tokenizer, token, isAtStart))!;
                }
            }
        }

        Assert.True(places > 60, $"{places} places");
    }

    [Theory]
    [MemberData(nameof(Vocabularies))]
    public void RandomWalks_ThroughSchemas_AlwaysReachValidJson(string vocabulary)
    {
        SentencePieceTokenizer tokenizer = Tokenizer(vocabulary);
        Random random = new(1);
        foreach (string schema in Schemas)
        {
            using JsonDocument document = JsonDocument.Parse(schema);
            SchemaValidator validator = new(document.RootElement);
            CompiledConstraint compiled = OutputConstraint.JsonSchema(schema).For(tokenizer);
            for (int walk = 0; walk < 12; walk++)
            {
                string text = Walk(random, tokenizer, compiled, strips: walk % 2 == 0);
                using JsonDocument answer = JsonDocument.Parse(text);
                Assert.Null(validator.Check(answer.RootElement));
            }
        }
    }

    [Theory]
    [MemberData(nameof(Vocabularies))]
    public void RandomWalks_OfJsonObjects_AlwaysReachJson(string vocabulary)
    {
        SentencePieceTokenizer tokenizer = Tokenizer(vocabulary);
        Random random = new(2);
        for (int walk = 0; walk < 20; walk++)
        {
            using JsonDocument answer = JsonDocument.Parse(Walk(random, tokenizer, OutputConstraint.JsonObject.For(tokenizer), strips: walk % 2 == 0));
            Assert.Equal(JsonValueKind.Object, answer.RootElement.ValueKind);
        }
    }

    [Theory]
    [MemberData(nameof(Vocabularies))]
    public void CharactersOfSeveralTokens_AreTakenByteByByte(string vocabulary)
    {
        SentencePieceTokenizer tokenizer = Tokenizer(vocabulary);
        const string Text = "\U0001F9D9\u200D\u00E9\u6F22";
        CompiledConstraint compiled = OutputConstraint.Choice([Text, "\U0001F9D9x"]).For(tokenizer);
        Random random = new(3);
        HashSet<string> seen = [];
        for (int walk = 0; walk < 30; walk++)
        {
            seen.Add(Walk(random, tokenizer, compiled, strips: false));
        }

        Assert.Equal([Text, "\U0001F9D9x"], seen.OrderByDescending(text => text.Length));
        // A byte that begins no character of the choices is banned, whatever the piece it is in.
        Assert.All(Enumerable.Range(0, tokenizer.VocabularySize), id =>
        {
            bool starts = compiled.Accept(compiled.Start, id, isAtStart: false) is not null;
            Assert.True(!starts || (tokenizer.TextBytes(id).Length > 0 && Encoding.UTF8.GetBytes(Text).AsSpan().StartsWith(tokenizer.TextBytes(id))), tokenizer.PieceText(id));
        });
    }

    [Fact]
    public void Masks_FromManyThreads_AreThoseOfOne()
    {
        SentencePieceTokenizer tokenizer = Tokenizer("pico");
        string[] texts = [.. Enumerable.Range(0, 16).Select(seed => Walk(new Random(seed), tokenizer, OutputConstraint.JsonSchema(Record).For(tokenizer), strips: true))];
        CompiledConstraint shared = OutputConstraint.JsonSchema(Record).For(tokenizer);
        string[] together = new string[texts.Length];
        Parallel.For(0, texts.Length, seed => together[seed] = Walk(new Random(seed), tokenizer, shared, strips: true));
        Assert.Equal(texts, together);
    }

    [Fact]
    public void Masks_OfLongLimits_ShareWhatIsAlike()
    {
        SentencePieceTokenizer tokenizer = Tokenizer("pico");
        OutputConstraint constraint = OutputConstraint.JsonSchema("""{"type":"string","minLength":300,"maxLength":900}""");
        string text = Walk(new Random(1), tokenizer, constraint.For(tokenizer), strips: false);
        using JsonDocument answer = JsonDocument.Parse(text);
        Assert.InRange(answer.RootElement.GetString()!.EnumerateRunes().Count(), 300, 900);
    }

    private static IEnumerable<OutputConstraint> Constraints() =>
    [
        OutputConstraint.JsonObject, .. Schemas.Take(2).Select(OutputConstraint.JsonSchema), OutputConstraint.Regex("(?:[A-Z][a-z]+ ?){1,8}|\\d{1,40}\\.?"),
        OutputConstraint.Choice(["yes", "yes, of course", "no", "\u00E9t\u00E9"]), OutputConstraint.JsonSchema("""{"type":"string","maxLength":100}"""),
        OutputConstraint.JsonSchema("""{"anyOf":[{"type":"object","properties":{"next":{"$ref":"#"}}},{"type":"object","properties":{"next":{"type":"array","items":{"$ref":"#"}}}}]}"""),
    ];

    private static SentencePieceTokenizer Tokenizer(string vocabulary) => SentencePieceTokenizer.Load(
        vocabulary == "pico" ? Path.Combine(PicoVicuna.Folder, "tokenizer.model") : SharedFolder.Require("tokenizers/llama/tokenizer.model"));

    private static int[] Bits(ulong[] mask) => [.. Enumerable.Range(0, mask.Length * 64).Where(id => (mask[id >> 6] >> id & 1) != 0)];

    private static int[] Tried(SentencePieceTokenizer tokenizer, PushdownMachine machine, Configuration from, bool isAtStart) =>
    [
        .. Enumerable.Range(0, tokenizer.VocabularySize).Where(id =>
        {
            ReadOnlySpan<byte> bytes = TokenTrie.TextOf(tokenizer, id, isAtStart);
            bool isText = tokenizer.TypeOf(id) is PieceType.Normal or PieceType.Byte or PieceType.UserDefined;
            bool isNothing = bytes.Length == 0 && (!isAtStart || tokenizer.RemoveExtraWhitespaces || tokenizer.TextBytes(id).Length == 0);
            return isText && !isNothing && After(machine, from, bytes) is not null;
        }),
    ];

    private static Configuration? After(PushdownMachine machine, Configuration from, ReadOnlySpan<byte> bytes)
    {
        Configuration? at = from;
        foreach (byte value in bytes)
        {
            at = at is null ? null : machine.Step(at, value);
        }

        return at;
    }

    // Mostly long pieces, which come across the borders of rules.
    private static int Choose(Random random, SentencePieceTokenizer tokenizer, int[] allowed)
    {
        int[] drawn = [.. Enumerable.Range(0, 3).Select(_ => allowed[random.Next(allowed.Length)])];
        return drawn.MaxBy(id => tokenizer.TextBytes(id).Length);
    }

    private static string Walk(Random random, SentencePieceTokenizer tokenizer, CompiledConstraint compiled, bool strips)
    {
        const int End = 2;
        ConstraintCursor cursor = new(compiled, tokenizer.VocabularySize);
        cursor.Configure([End], strips);
        cursor.Reset();
        List<int> ids = [];
        while (!cursor.IsComplete)
        {
            int[] allowed = Bits(cursor.Next().ToArray());
            // Brackets that open are drawn less often than ones that close, or the walk is long: what ends it is preferred after a while.
            int[] ending = ids.Count < 60 ? [] : [.. allowed.Where(id => id == End || tokenizer.TextBytes(id).IndexOfAny("\"}],"u8) >= 0 && tokenizer.TextBytes(id).IndexOfAny("[{"u8) < 0)];
            int token = ending.Length > 0 && random.Next(10) > 0 ? ending[random.Next(ending.Length)] : allowed[random.Next(allowed.Length)];
            Assert.True(cursor.TryAccept(token));
            if (token != End)
            {
                ids.Add(token);
            }

            Assert.True(ids.Count < 20_000, "the walk goes on and on");
        }

        StreamingDecoder decoder = new(tokenizer, strips);
        StringBuilder text = new();
        ids.ForEach(id => text.Append(decoder.Append(id)));
        return text.Append(decoder.Flush()).ToString();
    }
}
