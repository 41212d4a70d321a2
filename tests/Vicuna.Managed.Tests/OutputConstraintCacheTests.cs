namespace Vicuna.Managed.Tests;

/// <summary>Forms of answers that are kept between requests.</summary>
public sealed class OutputConstraintCacheTests
{
    [Fact]
    public void Schema_ThatComesAgain_IsTheSameForm()
    {
        OutputConstraintCache cache = new();
        OutputConstraint first = cache.JsonSchema(Schema(0));
        Assert.NotSame(first, cache.JsonSchema(Schema(1)));
        Assert.Same(first, cache.JsonSchema(Schema(0)));
        Assert.Equal(2, cache.Count);
    }

    [Fact]
    public void Schemas_MoreThanAreKept_PushOutWhatWasUsedLongestAgo()
    {
        OutputConstraintCache cache = new();
        OutputConstraint used = cache.JsonSchema(Schema(0));
        OutputConstraint unused = cache.JsonSchema(Schema(1));
        for (int i = 2; i < 200; i++)
        {
            cache.JsonSchema(Schema(i));
            Assert.Same(used, cache.JsonSchema(Schema(0)));
        }

        Assert.Equal(64, cache.Count);
        Assert.NotSame(unused, cache.JsonSchema(Schema(1)));
    }

    [Fact]
    public void Schema_ThatIsVeryLong_IsNotKept()
    {
        OutputConstraintCache cache = new();
        string schema = $$"""{"type":"boolean","description":"{{new string('a', 20_000)}}"}""";
        Assert.NotSame(cache.JsonSchema(schema), cache.JsonSchema(schema));
        Assert.Equal(0, cache.Count);
    }

    [Fact]
    public void Schema_ThatIsNone_IsRefusedAndNotKept()
    {
        OutputConstraintCache cache = new();
        Assert.ThrowsAny<ArgumentException>(() => cache.JsonSchema("{\"type\":\"nothing\"}"));
        Assert.Equal(0, cache.Count);
    }

    private static string Schema(int value) => $"{{\"const\":{value}}}";
}
