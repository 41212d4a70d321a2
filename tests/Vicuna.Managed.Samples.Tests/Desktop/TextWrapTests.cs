using DesktopSample;

namespace Vicuna.Managed.Samples.Tests.Desktop;

/// <summary>Lines of the transcript.</summary>
public sealed class TextWrapTests
{
    [Theory]
    [InlineData("", 10, "")]
    [InlineData("one two three", 7, "one two|three")]
    [InlineData("one two three", 8, "one two|three")]
    [InlineData("one\r\n\ntwo ", 10, "one||two")]
    [InlineData("  two  spaces", 20, "  two  spaces")]
    [InlineData("abcdefgh ij", 3, "abc|def|gh|ij")]
    [InlineData("日本語", 4, "日本|語")]
    [InlineData("x日本", 2, "x|日|本")]
    [InlineData("a\u001b[31mred\tb", 20, "a [31mred b")]
    public void Wrap_BreaksBetweenWords_ByColumns(string text, int width, string expected) =>
        Assert.Equal(expected.Split('|'), TextWrap.Wrap(text, width));
}
