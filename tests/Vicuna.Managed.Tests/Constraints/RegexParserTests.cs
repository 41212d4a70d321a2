using System.Text;
using System.Text.RegularExpressions;
using Vicuna.Managed.Constraints;

namespace Vicuna.Managed.Tests.Constraints;

/// <summary>Regular expressions against .NET's own engine.</summary>
public sealed class RegexParserTests
{
    [Theory]
    [InlineData("[0-9]{3}-[0-9]{4}", "555-1234", "555-12345")]
    [InlineData("^abc$", "abc", "xabc")]
    [InlineData("a|bc|", "", "ab")]
    [InlineData("(?:ab)*?c+", "ababc", "ab")]
    [InlineData("(?<word>\\w+)\\s\\d{2,}", "a_9 42", "a 4")]
    [InlineData("\\u00e9|\\x41|\\ud83d\\ude00", "\U0001F600", "e")]
    [InlineData("[^a-c\\d]", "\u20AC", "b")]
    [InlineData("a{2,3}{", "aa{", "aaaa{")]
    [InlineData("{a}", "{a}", "a")]
    [InlineData("[]a]", "]", "b")]
    [InlineData("[a-]", "-", "b")]
    [InlineData(".", "\u00E9", "\n")]
    [InlineData("\\S", "x", "\u2003")]
    [InlineData("x{0}", "", "x")]
    public void Expression_AllowsTheWholeTextAlone(string pattern, string right, string wrong)
    {
        OutputConstraint constraint = OutputConstraint.Regex(pattern);
        Assert.True(constraint.Allows(right));
        Assert.False(constraint.Allows(wrong));
        Assert.Contains(pattern, constraint.Description, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("(a", "a group is not closed", 0)]
    [InlineData("a)", "unexpected ')'", 1)]
    [InlineData("[a", "not closed", 0)]
    [InlineData("[b-a]", "reverse order", 1)]
    [InlineData("[\\d-x]", "single characters", 1)]
    [InlineData("*a", "nothing to repeat", 0)]
    [InlineData("a**", "possessive", 2)]
    [InlineData("a{2}{3}", "nothing to repeat", 4)]
    [InlineData("a{3,2}", "the least first", 1)]
    [InlineData("a{1001}", "at most 1000", 1)]
    [InlineData("a{99999999999}", "at most 1000", 1)]
    [InlineData("(?=a)", "lookaround", 0)]
    [InlineData("(?i)a", "options", 0)]
    [InlineData("(a)\\1", "\\1 is not supported", 3)]
    [InlineData("\\bword", "\\b is not supported", 0)]
    [InlineData("\\p{L}", "\\p is not supported", 0)]
    [InlineData("a$b", "anchor", 1)]
    [InlineData("(a$)", "anchor", 2)]
    [InlineData("a^b", "anchor", 1)]
    [InlineData("\\ud800", "surrogate", 0)]
    [InlineData("\ud800", "surrogate", 0)]
    [InlineData("\\", "not complete", 0)]
    [InlineData("\\x4", "not complete", 0)]
    public void Expression_ThatIsNotSupported_IsRefusedWithItsPlace(string pattern, string problem, int place)
    {
        string message = Assert.Throws<ArgumentException>(() => OutputConstraint.Regex(pattern)).Message;
        Assert.Contains(problem, message, StringComparison.Ordinal);
        Assert.Contains($"at character {place}.", message, StringComparison.Ordinal);
    }

    [Fact]
    public void RandomExpressions_AgreeWithDotNet()
    {
        Random random = new(5);
        int right = 0;
        for (int round = 0; round < 600; round++)
        {
            string pattern = Expression(random, 3);
            OutputConstraint constraint = OutputConstraint.Regex(pattern);
            PushdownMachine machine = new(constraint.Grammar);
            GrammarBuilder searchBuilder = new("search");
            PushdownMachine search = new(searchBuilder.Build(searchBuilder.Add("search", RegexParser.Parse(pattern, "search", isSearch: true))));
            // One surrogate pair is one character here and two there: those are left to other tests.
            Regex whole = new($"^(?:{pattern})\\z");
            Regex anywhere = new(pattern);
            for (int i = 0; i < 20; i++)
            {
                string text = Text(random);
                bool expected = whole.IsMatch(text);
                right += expected ? 1 : 0;
                Assert.True(expected == (ConstraintTexts.Run(machine, text) is { Accepts: true }), $"{pattern} and '{text}'");
                Assert.True(anywhere.IsMatch(text) == (ConstraintTexts.Run(search, text) is { Accepts: true }), $"{pattern} in '{text}'");
            }
        }

        Assert.True(right > 300, $"{right} texts matched");
    }

    [Fact]
    public void SearchedExpression_HasAnchorsOfEachAlternative()
    {
        GrammarBuilder builder = new("search");
        PushdownMachine machine = new(builder.Build(builder.Add("search", RegexParser.Parse("^a|b$", "search", isSearch: true))));
        foreach (string text in new[] { "a", "axx", "xb", "b", "xa", "bx", "x", "" })
        {
            Assert.Equal(Regex.IsMatch(text, "^a|b$"), ConstraintTexts.Run(machine, text) is { Accepts: true });
        }
    }

    [Fact]
    public void Sequences_OfRandomSets_HoldTheirCharactersAlone()
    {
        Random random = new(6);
        int[] samples = [.. Enumerable.Range(0, 0x300), .. Enumerable.Range(0x7F0, 32), .. Enumerable.Range(0xD700, 0x100), .. Enumerable.Range(0xE000, 64), .. Enumerable.Range(0xFFF0, 32), .. Enumerable.Range(0x10FFF0, 16)];
        for (int round = 0; round < 60; round++)
        {
            CodePointSet set = CodePointSet.Of(Enumerable.Range(0, random.Next(1, 5)).Select(_ =>
            {
                int first = random.Next(3) switch { 0 => random.Next(0x900), 1 => random.Next(0x11000), _ => random.Next(0x110000) };
                return (first, Math.Min(first + random.Next(random.Next(2) == 0 ? 100 : 100_000), 0x10FFFF));
            }));
            set = round % 2 == 0 ? set : set.Complement();
            GrammarBuilder builder = new("set");
            PushdownMachine machine = new(builder.Build(builder.Add("set", new Pattern.Characters(set))));
            int[] borders = [.. set.Ranges.SelectMany(range => new[] { range.First - 1, range.First, range.Last, range.Last + 1 })];
            foreach (int value in samples.Concat(borders).Where(Rune.IsValid))
            {
                Assert.Equal(set.Contains(value), ConstraintTexts.Run(machine, char.ConvertFromUtf32(value)) is { Accepts: true });
            }
        }
    }

    [Theory]
    [InlineData("(?:a{1000}){1000}")]
    [InlineData("(?:a|b)*a(?:a|b){24}")]
    [InlineData("(?:.*a.*b.*c){60}.{900}")]
    [InlineData("(((((){1000}){1000}){1000}){1000}){1000}")]
    [InlineData("((a*)*)*x{1000}(?:y{1000}){900}")]
    public async Task Expression_OfTooManyStates_IsRefusedSoon(string pattern)
    {
        string refusal = await ConstraintTexts.Soon(() => Assert.Throws<ArgumentException>(() => OutputConstraint.Regex(pattern)).Message);
        Assert.Contains("too complex", refusal, StringComparison.Ordinal);
    }

    [Fact]
    public void Expression_OfHostileShape_IsRefusedOrCompiled()
    {
        Assert.Contains("at most 16384 characters", Assert.Throws<ArgumentException>(() => OutputConstraint.Regex(new string('a', 20_000))).Message, StringComparison.Ordinal);
        Assert.Contains("deep", Assert.Throws<ArgumentException>(() => OutputConstraint.Regex(new string('(', 1000))).Message, StringComparison.Ordinal);
        Assert.True(OutputConstraint.Regex(new string('{', 16_000)).Allows(new string('{', 16_000)));
        Assert.True(OutputConstraint.Regex("(?:(?:a*)*)*b").Allows(new string('a', 5000) + "b"));
    }

    private static string Text(Random random) => string.Concat(Enumerable.Range(0, random.Next(7)).Select(_ => "ab01_ -\u00E9\u20AC"[random.Next(9)]));

    private static string Expression(Random random, int depth)
    {
        int kind = depth == 0 ? random.Next(3) : random.Next(8);
        return kind switch
        {
            0 => Regex.Escape("ab01_ -\u00E9\u20AC"[random.Next(9)].ToString()),
            1 => new[] { "[a-b0]", "[^a1]", "\\d", "\\D", "[_\\-\u00E9]", "\u20AC" }[random.Next(6)],
            2 => ".",
            3 or 4 => Expression(random, depth - 1) + Expression(random, depth - 1),
            5 => $"(?:{Expression(random, depth - 1)}|{Expression(random, depth - 1)})",
            6 => $"({Expression(random, depth - 1)})" + new[] { "*", "+", "?", "*?", "??" }[random.Next(5)],
            _ => $"(?:{Expression(random, depth - 1)})" + new[] { "{2}", "{0,2}", "{1,}", "{1,3}?" }[random.Next(4)],
        };
    }
}
