namespace Vicuna.Managed;

/// <summary>Quantization of the weight matrices at load. Embeddings, norms and biases stay as stored.</summary>
public enum Quantization
{
    /// <summary>None: the weights as the files hold them.</summary>
    None,

    /// <summary>Eight bits in groups of 32 with one half-precision scale, symmetric to ±127: 8.5 bits a weight. Next to no loss.</summary>
    Q8,

    /// <summary>Four bits in groups of 32 with one half-precision scale: 4.5 bits a weight; the output head, which is read once a token, stays at eight.</summary>
    Q4,
}
