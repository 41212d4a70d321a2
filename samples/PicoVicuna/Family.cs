namespace PicoVicunaSample;

/// <summary>Facts of one kind.</summary>
/// <param name="Name">What they are about.</param>
/// <param name="Weight">How often one of its facts is asked, relative to those of other families.</param>
/// <param name="Facts">The facts.</param>
/// <param name="IsKnowledge">Whether its questions examine what the model knows; greetings do not.</param>
internal sealed record Family(string Name, int Weight, IReadOnlyList<Fact> Facts, bool IsKnowledge = true);
