using System.Text;
using Vicuna.Managed.Generation;

namespace Vicuna.Managed.Tests.Generation;

public sealed class StopMatcherTests
{
    [Fact]
    public void Push_OfRandomPieces_FindsWhatASearchOfTheWholeTextFinds()
    {
        Random random = new(2);
        int found = 0;
        for (int round = 0; round < 20_000; round++)
        {
            // Two or three letters: overlaps and near misses are the rule.
            string letters = "abc"[..random.Next(2, 4)];
            string[] stops = [.. Enumerable.Range(0, random.Next(1, 5)).Select(_ => Letters(random, letters, random.Next(1, 6)))];
            string text = Letters(random, letters, random.Next(0, 25));
            (int end, string? stop) = Search(text, stops);
            StopMatcher matcher = new(stops);
            StringBuilder passed = new();
            int position = 0;
            while (position < text.Length)
            {
                int length = Math.Min(random.Next(0, 5), text.Length - position);
                passed.Append(matcher.Push(text.AsSpan(position, length)));
                position += length;
                CheckHeldBack(text[..position], passed.ToString(), stops, matcher.Found);
            }

            passed.Append(matcher.Flush());
            Assert.Equal(stop, matcher.Found);
            Assert.Equal(stop is null ? text : text[..(end - stop.Length)], passed.ToString());
            found += stop is null ? 0 : 1;
        }

        Assert.InRange(found, 4000, 19_500);
    }

    [Fact]
    public void Push_WithOverlappingStops_DoesNotDependOnThePieces()
    {
        // "bc" is complete before "abcd" is, in one piece as in two.
        foreach (string[] pieces in new string[][] { ["xabcdy"], ["xabc", "dy"], ["x", "a", "b", "c", "d", "y"] })
        {
            StopMatcher matcher = new(["abcd", "bc"]);
            Assert.Equal("xa", string.Concat(pieces.Select(piece => matcher.Push(piece))) + matcher.Flush());
            Assert.Equal("bc", matcher.Found);
        }
    }

    [Fact]
    public void Push_WithStopsThatEndTogether_TakesTheLongest()
    {
        StopMatcher matcher = new(["c", "bc", "abc"]);
        Assert.Equal("x", matcher.Push("xabc"));
        Assert.Equal("abc", matcher.Found);
    }

    [Fact]
    public void Push_OfAFalseBeginning_PassesItOnAsSoonAsItIsOne()
    {
        StopMatcher matcher = new(["USER:"]);
        Assert.Equal("a ", matcher.Push("a U"));
        Assert.Equal(string.Empty, matcher.Push("SE"));
        Assert.Equal("USE", matcher.Push("U"));
        Assert.Equal("US!", matcher.Push("S!"));
        Assert.Equal(string.Empty, matcher.Flush());
        Assert.Null(matcher.Found);
    }

    [Fact]
    public void Push_AfterAStop_PassesNothingOn()
    {
        StopMatcher matcher = new(["#"]);
        Assert.Equal("a", matcher.Push("a#b"));
        Assert.Equal(string.Empty, matcher.Push("c"));
        Assert.Equal(string.Empty, matcher.Flush());
        Assert.Equal("#", matcher.Found);
    }

    [Fact]
    public void Push_WithoutStops_PassesEverythingOn()
    {
        StopMatcher matcher = new([]);
        Assert.Equal("abc", matcher.Push("abc"));
        Assert.Equal(string.Empty, matcher.Push([]));
        Assert.Equal(string.Empty, matcher.Flush());
        Assert.Null(matcher.Found);
    }

    [Fact]
    public void Push_ComparesByCharacterCode()
    {
        // In cultures a soft hyphen is nothing and é may equal e with an accent; here they are characters.
        StopMatcher matcher = new(["ab", "é"]);
        Assert.Equal("a\u00adb e\u0301", matcher.Push("a\u00adb e\u0301") + matcher.Flush());
        Assert.Null(matcher.Found);
    }

    // What is held back is the longest end of the text that begins a stop string, not a character more.
    private static void CheckHeldBack(string text, string passed, string[] stops, string? found)
    {
        Assert.StartsWith(passed, text, StringComparison.Ordinal);
        if (found is null)
        {
            int longest = Enumerable.Range(0, text.Length + 1).First(start => stops.Any(stop => stop.StartsWith(text[start..], StringComparison.Ordinal)));
            Assert.Equal(longest, passed.Length);
        }
    }

    // The stop string whose end comes first; of several the longest. By trying every end.
    private static (int End, string? Stop) Search(string text, string[] stops)
    {
        for (int end = 1; end <= text.Length; end++)
        {
            if (stops.Where(stop => text[..end].EndsWith(stop, StringComparison.Ordinal)).MaxBy(stop => stop.Length) is { } stop)
            {
                return (end, stop);
            }
        }

        return (text.Length, null);
    }

    private static string Letters(Random random, string letters, int length) => new(random.GetItems(letters.AsSpan(), length));
}
