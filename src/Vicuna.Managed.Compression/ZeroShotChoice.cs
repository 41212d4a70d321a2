namespace Vicuna.Managed.Compression;

/// <summary>One of the answers to choose from, as the model sees it.</summary>
/// <param name="Context">What comes before, as text.</param>
/// <param name="Continuation">What is scored, as text, with the space that joins it to the context.</param>
/// <param name="Characters">
/// Length of the choice in characters (Unicode code points), by which the normalized score is divided. The space that joins it to the context does not count.
/// </param>
public sealed record ZeroShotChoice(string Context, string Continuation, int Characters);
