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
}
