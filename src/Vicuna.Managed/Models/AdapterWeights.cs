namespace Vicuna.Managed.Models;

/// <summary>An adapter's factors by their places in a model. Read-only and safe for concurrent use.</summary>
/// <param name="layers">Blocks of the model.</param>
internal sealed class AdapterWeights(int layers)
{
    private readonly AdapterPair?[,] _pairs = new AdapterPair?[layers, BlockMatrices.Names.Count];

    /// <summary>The factors at a place, or null.</summary>
    public AdapterPair? Find(int layer, BlockMatrix matrix) => _pairs[layer, (int)matrix];

    /// <summary>Puts factors at a place; before the adapter is used.</summary>
    public void Set(int layer, BlockMatrix matrix, AdapterPair pair) => _pairs[layer, (int)matrix] = pair;
}
