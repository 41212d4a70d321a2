using Vicuna.Managed.Sampling;

namespace Vicuna.Managed;

/// <content>What is told of an answer's tokens, and the form that an answer has.</content>
public sealed partial class Generator
{
    /// <summary>Whether a constraint allows nothing but the end of the answer now; false without one.</summary>
    internal bool IsComplete
    {
        get
        {
            FollowSequence();
            return _constraint is { IsComplete: true };
        }
    }

    /// <summary>Says what an answer is to its constraint, if it has one; to be called before the answer begins.</summary>
    /// <param name="endIds">Ids that end it.</param>
    /// <param name="stripsLeadingSpace">Whether its first space belongs to the template.</param>
    internal void BeginAnswer(IReadOnlyList<int> endIds, bool stripsLeadingSpace)
    {
        _constraint?.Configure(endIds, stripsLeadingSpace);
        ForgetLast();
    }

    private void ForgetLast() => (_lastLogProbability, _constrainedTo) = (null, -1);

    // Where the sequence has changed otherwise than by the last choice, the constraint goes through the choices at its end again.
    private void FollowSequence()
    {
        if (_constraint is null || _constrainedTo == Position)
        {
            return;
        }

        int start = Position;
        while (start > 0 && _sequence.Generated[start - 1])
        {
            start--;
        }

        _constraint.Reset();
        for (int i = start; i < Position; i++)
        {
            if (!_constraint.TryAccept(_sequence.Tokens[i]))
            {
                throw new InvalidOperationException(
                    $"The sequence does not follow the constraint '{Options.Constraint!.Description}' from its token {i} on: "
                    + "it was generated with another one, or without.");
            }
        }

        _constrainedTo = Position;
    }

    private void TakeLogProbability(int token)
    {
        if (_logProbabilities is null)
        {
            return;
        }

        ReadOnlySpan<float> logits = _sequence.Logits;
        double normalizer = _logProbabilities.Normalizer(logits);
        int[] likeliest = LogProbabilities.Top(logits, Options.LogProbabilities!.Value);
        TokenLogProbability[] top = new TokenLogProbability[likeliest.Length];
        for (int i = 0; i < top.Length; i++)
        {
            top[i] = new TokenLogProbability(likeliest[i], Math.Min(0, logits[likeliest[i]] - normalizer));
        }

        _lastLogProbability = new TokenLogProbability(token, Math.Min(0, logits[token] - normalizer)) { Top = top };
        _lastPosition = Position + 1;
    }
}
