namespace Vicuna.Managed;

/// <summary>How an <see cref="InferenceEngine"/> treats one request; what it generates is said by <see cref="GenerationOptions"/>.</summary>
public sealed record RequestOptions
{
    /// <summary>Which of the waiting requests is next. Default: normal.</summary>
    public RequestPriority Priority { get; init; } = RequestPriority.Normal;

    /// <summary>
    /// Longest time from now to the end of the answer. Where it ends during the answer, the answer ends with what it has
    /// (<see cref="FinishReason.TimeLimit"/>); where it ends before the first token, the request fails with a <see cref="TimeoutException"/>. Default: none.
    /// </summary>
    public TimeSpan? TimeLimit { get; init; }

    /// <summary>A conversation that the request belongs to, which can be saved and restored with the model's memory of it; null for none.</summary>
    public InferenceSession? Session { get; init; }

    /// <summary>
    /// Name of the operation in meters and activities, as in OpenTelemetry's conventions for generative AI. Default: null, <c>chat</c> for conversations,
    /// <c>text_completion</c> for other prompts.
    /// </summary>
    public string? OperationName { get; init; }
}
