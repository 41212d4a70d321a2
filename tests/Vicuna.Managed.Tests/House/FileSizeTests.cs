namespace Vicuna.Managed.Tests.House;

/// <summary>Files that can be read in one sitting.</summary>
public sealed class FileSizeTests
{
    private const int MaxLines = 400;
    private const int MaxKernelLines = 600;

    [Fact]
    public void SourceFiles_HaveAtMost400Lines()
    {
        // A format's file for one instruction set unrolls its tiles by hand.
        string[] tooLong =
        [
            .. SourceFile.All
                .Select(file => (file.RelativePath, Lines: file.Text.AsSpan().Count('\n')))
                .Where(file => file.Lines > (file.RelativePath.Contains(".Avx", StringComparison.Ordinal) ? MaxKernelLines : MaxLines))
                .Select(file => $"{file.RelativePath}: {file.Lines} lines"),
        ];
        Assert.Empty(tooLong);
    }
}
