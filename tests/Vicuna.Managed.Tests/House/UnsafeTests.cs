using System.Text.RegularExpressions;
using System.Xml.Linq;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.House;

/// <summary>Where the dangerous tools may be used. Every rule is one line of data.</summary>
public sealed partial class UnsafeTests
{
    private const string Kernels = "Vicuna.Managed.Kernels/";

    public static TheoryData<string, string> Rules() => new()
    {
        // What may stand where; no folder = nowhere.
        { @"\bunsafe\b", $"{Kernels}Memory/" },
        { @"\bfixed\s*\(", string.Empty },
        { @"\bSystem\.Runtime\.Intrinsics\.X86\b", $"{Kernels}Isa/ {Kernels}Formats/ {Kernels}Memory/ProcessorHints.cs" },
        { @"\bSystem\.Runtime\.Intrinsics\b", Kernels },
        { @"\bUnsafe\.|\bCompilerServices\.Unsafe\b", Kernels },
        { @"\bMemoryMarshal\.(GetReference|GetArrayDataReference|Create(ReadOnly)?Span)\b", Kernels },
        { @"\bNativeMemory\b", $"{Kernels}Memory/" },
        { @"\bAggressiveOptimization\b", string.Empty },
        { @"\bSkipLocalsInit\b", string.Empty },
        { @"\bDllImport\b", string.Empty },
        { @"\bLibraryImport\b", $"{Kernels}Memory/" },
    };

    [Theory]
    [MemberData(nameof(Rules))]
    public void Code_UsesATool_OnlyWhereItMay(string pattern, string folders)
    {
        string[] allowed = folders.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        string[] users = [.. SourceFile.All.Where(file => Regex.IsMatch(file.Code, pattern)).Select(file => file.RelativePath)];
        Assert.Empty(users.Where(path => !allowed.Any(folder => path.StartsWith(folder, StringComparison.Ordinal))).ToArray());
        Assert.True(allowed.Length == 0 || users.Length > 0, $"Nobody uses {pattern} any more: either the rule or the pattern is stale.");
    }

    [Fact]
    public void UnsafeBlocks_AreCompiledInTheKernelsAlone()
    {
        string source = RepositoryFolder.Find("src");
        string[] allowing =
        [
            .. Directory.EnumerateFiles(source, "*.*proj", SearchOption.AllDirectories)
                .Concat(Directory.EnumerateFiles(source, "*.props", SearchOption.AllDirectories))
                .Append(RepositoryFolder.Find("Directory.Build.props"))
                .Where(path => !path.Contains($"{Path.DirectorySeparatorChar}obj{Path.DirectorySeparatorChar}", StringComparison.Ordinal))
                .Where(path => XDocument.Load(path).Descendants("AllowUnsafeBlocks").Any(element => element.Value != "false"))
                .Select(path => Path.GetFileName(path)),
        ];
        Assert.Equal(["Vicuna.Managed.Kernels.csproj"], allowing);
    }

    [Fact]
    public void StackAllocations_HaveConstantLength()
    {
        HashSet<string> constants = [.. SourceFile.All.SelectMany(file => ConstantPattern().Matches(file.Code)).Select(match => match.Groups[1].Value)];
        int seen = 0;
        foreach (SourceFile file in SourceFile.All)
        {
            foreach (Match match in StackAllocationPattern().Matches(file.Code))
            {
                seen++;
                string length = FractionPattern().Replace(match.Groups[1].Value.Trim(), string.Empty);
                bool isConstant = length.All(char.IsAsciiDigit) || length.StartsWith("sizeof(", StringComparison.Ordinal) || constants.Contains(length.Split('.')[^1]);
                Assert.True(isConstant, $"{file.RelativePath}: {match.Value}");
            }
        }

        Assert.Equal(SourceFile.All.Sum(file => file.Code.Split("stackalloc").Length - 1), seen);
    }

    [GeneratedRegex(@"\bconst \w+ (\w+) =")]
    private static partial Regex ConstantPattern();

    // A constant divided by a number is one.
    [GeneratedRegex(@" / \d+$")]
    private static partial Regex FractionPattern();

    [GeneratedRegex(@"\bstackalloc \w+\[([^\]]*)\]")]
    private static partial Regex StackAllocationPattern();
}
