namespace Vicuna.Managed;

/// <summary>The model's output is not a number: damaged weights, or options that ban every token. No token can be chosen from it.</summary>
public sealed class NonFiniteLogitsException : InvalidOperationException
{
    /// <summary>Creates the exception.</summary>
    /// <param name="message">Which logit, and what it is.</param>
    public NonFiniteLogitsException(string message)
        : base(message)
    {
    }

    /// <summary>Whether the model's own output is sound, and the options have left no token that may be chosen: a bias, or a bias together with a constraint.</summary>
    public bool IsEveryTokenBanned { get; init; }
}
