namespace PruneAndHealSample;

/// <summary>What a model is worth.</summary>
/// <param name="Perplexity">On texts that it was not trained on.</param>
/// <param name="Accuracy">Share of questions answered word for word.</param>
/// <param name="TokensPerSecond">Speed of those answers, one after another.</param>
internal sealed record Examined(double Perplexity, double Accuracy, double TokensPerSecond);
