using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.Generation;

public sealed class PerplexityTests
{
    // WikiText's file as published: blank lines hold a space. The dataset's rows: "", " = Title = \n", "", " Text . \n".
    [Fact]
    public void JoinLines_OfWikiText_IsTheDatasetsRowsJoined()
    {
        string rows = string.Join("\n\n", string.Empty, " = Title = \n", string.Empty, " Text . \n");
        Assert.Equal(rows, Perplexity.JoinLines(" \n = Title = \n \n Text . \n", trim: false));
        Assert.Equal(rows, Perplexity.JoinLines(" \r\n = Title = \r\n \r\n Text . \r\n", trim: false));
        Assert.Equal("a\n\n\nb", Perplexity.JoinLines("a\nb", trim: false));
        Assert.Equal(string.Empty, Perplexity.JoinLines(string.Empty, trim: false));
    }

    [Fact]
    public void JoinLines_OfThePennTreebank_IsTheDatasetsRowsJoined() =>
        Assert.Equal("no it was n't\n\nthe <unk> rose N", Perplexity.JoinLines(" no it was n't \n the <unk> rose N \n", trim: true));

    [Theory]
    [InlineData(false, 2, 127)]
    [InlineData(true, 2, 128)]
    public void Measure_OfNotasWindows_PredictsAllButTheFirstId(bool every, int windows, int predicted)
    {
        using LanguageModel model = new TinyModel(new TinyShape { Vocab = 96 }).Load();
        IReadOnlyList<IReadOnlyList<int>> cut = Perplexity.Cut([.. Enumerable.Range(0, 300).Select(i => 3 + (i % 90))], 128, bosId: 1, every);
        Assert.All(cut, window => Assert.Equal(predicted + 1, window.Count));
        Assert.Equal([1, every ? 1 : 3 + (127 % 90)], cut.Select(window => window[0]));
        PerplexityResult result = Perplexity.Measure(model, cut);
        Assert.Equal((windows, windows * predicted), (result.Windows, result.Tokens));
    }
}
