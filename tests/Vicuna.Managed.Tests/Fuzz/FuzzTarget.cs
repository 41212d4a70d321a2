namespace Vicuna.Managed.Tests.Fuzz;

/// <summary>One parser under attack.</summary>
/// <param name="Name">What it is called in reports and on the command line.</param>
/// <param name="Seeds">Small inputs, good and bad, that mutation starts from.</param>
/// <param name="Run">Parses an input: succeeds or throws <see cref="ModelFormatException"/>.</param>
internal sealed record FuzzTarget(string Name, Func<IReadOnlyList<byte[]>> Seeds, Action<byte[]> Run)
{
    public override string ToString() => Name;
}
