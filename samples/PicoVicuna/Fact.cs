namespace PicoVicunaSample;

/// <summary>A question and its one right answer.</summary>
/// <param name="Question">What the user says.</param>
/// <param name="Answer">What the model is to say.</param>
/// <param name="IsHeldOut">Never trained on: the model knows the answer by another wording of the question alone.</param>
internal sealed record Fact(string Question, string Answer, bool IsHeldOut = false);
