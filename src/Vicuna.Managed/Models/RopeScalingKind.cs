namespace Vicuna.Managed.Models;

/// <summary>How a model stretches rotary position embedding beyond the context that it was trained on.</summary>
public enum RopeScalingKind
{
    /// <summary>All positions are divided by the factor (config <c>linear</c>).</summary>
    Linear,

    /// <summary>Low frequencies are divided by the factor, high ones kept, those between interpolated (config <c>llama3</c>).</summary>
    Llama3,
}
