using Vicuna.Managed.Weights.Gguf;

namespace Vicuna.Managed.Tests.Weights.Gguf;

public sealed class GgufRowOrderTests
{
    [Fact]
    public void ToHuggingFace_TwoHeadsOfSix_TakesHalvesInTurn() =>
        Assert.Equal([0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11], Enumerable.Range(0, 12).Select(row => GgufRowOrder.ToHuggingFace(row, 2, 6)));

    [Theory]
    [InlineData(1, 2)]
    [InlineData(4, 8)]
    [InlineData(8, 64)]
    [InlineData(32, 128)]
    public void FromHuggingFace_EveryRow_InvertsToHuggingFace(int heads, int headDim)
    {
        int[] rows = [.. Enumerable.Range(0, heads * headDim)];
        Assert.Equal(rows, rows.Select(row => GgufRowOrder.FromHuggingFace(GgufRowOrder.ToHuggingFace(row, heads, headDim), heads, headDim)));
        Assert.Equal(rows, rows.Select(row => GgufRowOrder.ToHuggingFace(row, heads, headDim)).Order());
    }

    [Theory]
    [InlineData(-1, 2, 4)]
    [InlineData(8, 2, 4)]
    [InlineData(0, 0, 4)]
    [InlineData(0, 2, 0)]
    [InlineData(0, 2, 5)]
    public void ToHuggingFace_BadNumbers_Throws(int row, int heads, int headDim)
    {
        Assert.ThrowsAny<ArgumentException>(() => GgufRowOrder.ToHuggingFace(row, heads, headDim));
        Assert.ThrowsAny<ArgumentException>(() => GgufRowOrder.FromHuggingFace(row, heads, headDim));
    }
}
