namespace Vicuna.Managed;

/// <summary>How well a model predicts a text.</summary>
/// <param name="MeanNegativeLogLikelihood">Mean of -ln p over the predicted tokens, in nats per token.</param>
/// <param name="Tokens">Predicted tokens: all but the first of each window.</param>
/// <param name="Windows">Windows that the text was cut into.</param>
public sealed record PerplexityResult(double MeanNegativeLogLikelihood, long Tokens, int Windows)
{
    /// <summary>e to the mean, dimensionless.</summary>
    public double Perplexity => Math.Exp(MeanNegativeLogLikelihood);
}
