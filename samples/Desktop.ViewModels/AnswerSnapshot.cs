using Vicuna.Managed;

namespace DesktopSample.ViewModels;

/// <summary>An answer at one moment.</summary>
/// <param name="Text">Its text.</param>
/// <param name="Tokens">Its tokens.</param>
/// <param name="TokensPerSecond">How fast they come; 0 before that is known.</param>
/// <param name="TimeToFirstToken">From the sending of the question to the first of them; zero before it.</param>
/// <param name="FinishReason">Why it ended; null before its end.</param>
internal readonly record struct AnswerSnapshot(string Text, int Tokens, double TokensPerSecond, TimeSpan TimeToFirstToken, FinishReason? FinishReason);
