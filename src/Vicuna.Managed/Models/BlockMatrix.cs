namespace Vicuna.Managed.Models;

/// <summary>The matrices of a block, in the order in which a pass uses them.</summary>
internal enum BlockMatrix
{
    /// <summary><see cref="BlockWeights.Query"/>.</summary>
    Query,

    /// <summary><see cref="BlockWeights.Key"/>.</summary>
    Key,

    /// <summary><see cref="BlockWeights.Value"/>.</summary>
    Value,

    /// <summary><see cref="BlockWeights.Output"/>.</summary>
    Output,

    /// <summary><see cref="BlockWeights.Gate"/>.</summary>
    Gate,

    /// <summary><see cref="BlockWeights.Up"/>.</summary>
    Up,

    /// <summary><see cref="BlockWeights.Down"/>.</summary>
    Down,
}
