namespace Vicuna.Managed.Tests.House;

/// <summary>The scanner that the rules of this folder rest on.</summary>
public sealed class SourceFileTests
{
    [Theory]
    [InlineData("a // hidden\nb", "a \nb")]
    [InlineData("a /* hidden\n */b", "a b")]
    [InlineData("a // hidden", "a ")]
    [InlineData("f(\"hidden \\\" // \")g", "f(\"\")g")]
    [InlineData("f(@\"hidden \\\")g", "f(\"\")g")]
    [InlineData("f(@\"hidden \"\" hidden\")g", "f(\"\")g")]
    [InlineData("f('\"', '\\'', '\\\\')g", "f(, , )g")]
    [InlineData("f(\"\")g", "f(\"\")g")]
    [InlineData("f($\"hidden {shown} {{hidden}} {g(\"hidden\", new { x })}\")h", "f(\"\" shown  g(\"\", new { x }) )h")]
    [InlineData("f(\"\"\"hidden \" hidden\"\"\")g", "f(\"\")g")]
    [InlineData("f($$\"\"\"hidden {hidden} {{shown}}\"\"\")g", "f(\"\" shown )g")]
    public void Code_HasNeitherCommentsNorStrings(string text, string code) => Assert.Equal(code, SourceFile.Of(text).Code);

    [Fact]
    public void DeclaredTypes_OfEveryKind_AreFound()
    {
        SourceFile file = SourceFile.Of(
            "namespace A.B;\nclass C1<T> { } record R1(int X); readonly record struct R2; enum E1 { } delegate void D1(); interface I1 { } struct S1 { }");
        Assert.Equal(["C1", "R1", "R2", "E1", "D1", "I1", "S1"], file.DeclaredTypes);
        Assert.Equal("A.B", file.Namespace);
    }

    [Fact]
    public void All_HoldsTheSourceOfBothProjects()
    {
        Assert.Contains(SourceFile.All, file => file.RelativePath == "Vicuna.Managed/Generator.cs");
        Assert.Contains(SourceFile.All, file => file.RelativePath == "Vicuna.Managed.Kernels/Memory/MemoryBlock.cs");
        Assert.All(SourceFile.All, file => Assert.True(file.Names.Count > 0 || file.RelativePath.Contains("Assembly", StringComparison.Ordinal), file.RelativePath));
    }
}
