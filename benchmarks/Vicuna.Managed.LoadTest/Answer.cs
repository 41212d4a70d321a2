namespace Vicuna.Managed.LoadTest;

/// <summary>What came of one request.</summary>
/// <param name="Status">HTTP status; 0 = the client left.</param>
/// <param name="Text">The answer.</param>
/// <param name="PromptTokens">Tokens of the prompt.</param>
/// <param name="Tokens">Tokens of the answer.</param>
/// <param name="FirstToken">Time to the first piece of text.</param>
/// <param name="Time">Time to the end.</param>
/// <param name="FinishReason">Why it ended.</param>
internal sealed record Answer(int Status, string Text, int PromptTokens, int Tokens, TimeSpan FirstToken, TimeSpan Time, string? FinishReason);
