namespace Vicuna.Managed.Cli;

/// <summary>The command line is wrong in a way that the parser does not see: exit code 2.</summary>
internal sealed class WrongUsageException(string message) : Exception(message);
