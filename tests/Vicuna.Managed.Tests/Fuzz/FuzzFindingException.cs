namespace Vicuna.Managed.Tests.Fuzz;

/// <summary>An input that a parser does not stand: the message holds all that is needed to run it again.</summary>
public sealed class FuzzFindingException(string target, long seed, long number, string problem, byte[] input, Exception? cause)
    : Exception($"target {target}, seed {seed}, input {number} of {input.Length} bytes: {problem}\nhex {Convert.ToHexString(input)}\n{cause}", cause);
