using System.Text;
using Vicuna.Managed.Constraints;
using Vicuna.Managed.Tokenization;

namespace Vicuna.Managed.Tests.Constraints;

/// <summary>Whether a constraint allows a text, and whether it allows its beginning.</summary>
internal static class ConstraintTexts
{
    public static bool Allows(this OutputConstraint constraint, string text) => Run(new PushdownMachine(constraint.Grammar), text) is { Accepts: true };

    public static bool AllowsBeginning(this OutputConstraint constraint, string text) => Run(new PushdownMachine(constraint.Grammar), text) is not null;

    public static CompiledConstraint For(this OutputConstraint constraint, SentencePieceTokenizer tokenizer) => constraint.Grammar.For(tokenizer);

    /// <summary>The result of something that must not take for ever.</summary>
    public static Task<T> Soon<T>(Func<T> action) => Task.Factory
        .StartNew(action, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)
        .WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);

    public static Configuration? Run(PushdownMachine machine, string text)
    {
        Configuration? at = machine.Start;
        foreach (byte value in Encoding.UTF8.GetBytes(text))
        {
            at = at is null ? null : machine.Step(at, value);
        }

        return at;
    }
}
