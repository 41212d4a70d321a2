namespace Vicuna.Managed.Samples.Tests;

public sealed class PlaceholderTests
{
    [Fact]
    public void Project_Builds_Runs() => Assert.Equal(4, int.Parse("4", System.Globalization.CultureInfo.InvariantCulture));
}
