namespace Vicuna.Managed.Tests.Support;

/// <summary>How a child process ended.</summary>
internal sealed record ChildResult(int ExitCode, string Output, string Error)
{
    public string[] Lines => Output.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
}
