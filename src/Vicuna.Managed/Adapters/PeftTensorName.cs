using System.Globalization;
using Vicuna.Managed.Models;

namespace Vicuna.Managed.Adapters;

/// <summary>
/// What the name of an adapter's tensor says: <c>base_model.model.model.layers.3.self_attn.q_proj.lora_A.weight</c>, as PEFT's <c>save_pretrained</c>
/// writes it, or <c>….lora_A.default.weight</c>, as a state dict has it.
/// </summary>
/// <param name="Layer">Block number, from 0.</param>
/// <param name="Matrix">The projection.</param>
/// <param name="IsB">Whether it is B, not A.</param>
internal readonly record struct PeftTensorName(int Layer, BlockMatrix Matrix, bool IsB)
{
    private const string Prefix = "base_model.model.model.layers.";
    private const int MaxLayerDigits = 6;

    private static readonly (string Suffix, bool IsB)[] Suffixes =
    [
        (".lora_A.default.weight", false), (".lora_B.default.weight", true), (".lora_A.weight", false), (".lora_B.weight", true),
    ];

    /// <summary>Takes a name apart.</summary>
    /// <returns>False where it is not the name of a factor of a block's projection.</returns>
    public static bool TryParse(string name, out PeftTensorName parsed)
    {
        parsed = default;
        int dot = name.StartsWith(Prefix, StringComparison.Ordinal) ? name.IndexOf('.', Prefix.Length) : -1;
        if (dot < 0)
        {
            return false;
        }

        // One spelling for each number, so that no two names mean the same block.
        ReadOnlySpan<char> digits = name.AsSpan(Prefix.Length..dot);
        if (digits.Length > MaxLayerDigits || (digits.Length > 1 && digits[0] == '0')
            || !int.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out int layer))
        {
            return false;
        }

        foreach ((string suffix, bool isB) in Suffixes)
        {
            if (name.EndsWith(suffix, StringComparison.Ordinal) && name.Length - suffix.Length > dot
                && BlockMatrices.TryFind(name.AsSpan((dot + 1)..^suffix.Length), out BlockMatrix matrix))
            {
                parsed = new PeftTensorName(layer, matrix, isB);
                return true;
            }
        }

        return false;
    }

    /// <summary>The name that <c>save_pretrained</c> writes.</summary>
    public override string ToString() =>
        string.Create(CultureInfo.InvariantCulture, $"{Prefix}{Layer}.{BlockMatrices.NameOf(Matrix)}.lora_{(IsB ? 'B' : 'A')}.weight");
}
