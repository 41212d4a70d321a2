namespace Vicuna.Managed.Adapters;

/// <summary>A LoRA adapter as its files hold it.</summary>
/// <param name="Config">Its settings.</param>
/// <param name="Pairs">Its factors, by block and projection; none twice.</param>
internal sealed record PeftAdapter(PeftConfig Config, IReadOnlyList<LoraPair> Pairs);
