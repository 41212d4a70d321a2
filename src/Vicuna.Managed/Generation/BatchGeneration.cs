using Vicuna.Managed.Models;

namespace Vicuna.Managed.Generation;

/// <summary>Several answers at a time: a pass for all of them per token, until the last has ended.</summary>
internal static class BatchGeneration
{
    /// <summary>Generates on the calling thread.</summary>
    /// <param name="decoder">The model.</param>
    /// <param name="answers">Answers whose prompts have been begun.</param>
    /// <param name="cancellationToken">Checked before each piece of each matrix product.</param>
    /// <returns>The results, in the order of the answers.</returns>
    public static GenerationResult[] Run(Decoder decoder, IReadOnlyList<TextGeneration> answers, CancellationToken cancellationToken)
    {
        GenerationResult[] results = new GenerationResult[answers.Count];
        SequenceBatch batch = new(decoder);
        List<int> running = [.. Enumerable.Range(0, answers.Count)];
        running.ForEach(i => batch.Add(answers[i].Generator.Sequence));
        while (running.Count > 0)
        {
            batch.Step(cancellationToken);
            for (int at = running.Count - 1; at >= 0; at--)
            {
                TextGeneration answer = answers[running[at]];
                if (!answer.Generator.Sequence.HasLogits || answer.TakeToken(static _ => { }, cancellationToken))
                {
                    continue;
                }

                results[running[at]] = answer.Finish(static _ => { });
                batch.Remove(answer.Generator.Sequence);
                // Its memory is free for the others from now on.
                answer.Generator.Dispose();
                running.RemoveAt(at);
            }
        }

        return results;
    }
}
