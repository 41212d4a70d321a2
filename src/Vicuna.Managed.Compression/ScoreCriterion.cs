namespace Vicuna.Managed.Compression;

/// <summary>How the importance of a block is measured. Of every criterion a low score means that the model can do without the block.</summary>
public enum ScoreCriterion
{
    /// <summary>Sum over a block's weights of |weight · gradient of the loss|, the product summed over the samples first; dimensionless.</summary>
    Taylor,

    /// <summary>Sum over a block's weights of |weight|; dimensionless.</summary>
    Magnitude,

    /// <summary>Perplexity of the model without the block.</summary>
    Perplexity,

    /// <summary>How far the block turns the residual stream: 1 minus the mean cosine between what goes in and what comes out.</summary>
    BlockInfluence,
}
