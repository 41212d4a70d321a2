namespace Vicuna.Managed.Compression;

/// <summary>A question with answers to choose from.</summary>
public sealed class ZeroShotItem
{
    /// <summary>Makes an item.</summary>
    /// <param name="choices">The answers, two or more.</param>
    /// <param name="answer">Which of them is right, counted from 0.</param>
    /// <exception cref="ArgumentException">There is nothing to choose from, or the right answer is not among them.</exception>
    public ZeroShotItem(IReadOnlyList<ZeroShotChoice> choices, int answer)
    {
        ArgumentNullException.ThrowIfNull(choices);
        if (choices.Count < 2 || (uint)answer >= (uint)choices.Count)
        {
            throw new ArgumentException($"Expected two or more choices, the right one among them, found {choices.Count} and number {answer}.", nameof(choices));
        }

        Choices = [.. choices];
        Answer = answer;
    }

    /// <summary>The answers to choose from.</summary>
    public IReadOnlyList<ZeroShotChoice> Choices { get; }

    /// <summary>Which of them is right, counted from 0.</summary>
    public int Answer { get; }
}
