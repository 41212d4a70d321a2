namespace Vicuna.Managed.Compression;

/// <summary>How the learning rate goes after the warm-up, during which it rises linearly from 0.</summary>
public enum LearningRateSchedule
{
    /// <summary>Linearly down to 0, which it would reach at the step after the last (Hugging Face's <c>get_linear_schedule_with_warmup</c>).</summary>
    Linear,

    /// <summary>Down to 0 along half a cosine (Loshchilov &amp; Hutter 2017).</summary>
    Cosine,

    /// <summary>It stays as it is.</summary>
    Constant,
}
