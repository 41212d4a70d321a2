namespace PicoVicunaSample;

/// <summary>A story, and how a user may ask for it.</summary>
/// <param name="Request">What the user says; what it names is in the story.</param>
/// <param name="Text">The story, one line.</param>
internal sealed record Story(string Request, string Text);
