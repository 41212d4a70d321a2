using System.Diagnostics.Metrics;

namespace Vicuna.Managed;

/// <summary>How an <see cref="InferenceEngine"/> shares a model between requests.</summary>
public sealed record EngineOptions
{
    /// <summary>Answers that are worked on at a time, 1 to 256; the weights are read once for all of them. Default 8.</summary>
    public int MaxConcurrentRequests { get; init; } = 8;

    /// <summary>Requests that may wait for their turn, 0 to 1,000,000; further ones are refused at once. Default: twice <see cref="MaxConcurrentRequests"/>.</summary>
    public int? MaxQueuedRequests { get; init; }

    /// <summary>
    /// Longest time that a request waits for its turn, above 0 and at most 24 days; after it the request is refused. Default: null, as long as its own
    /// deadline and its caller let it.
    /// </summary>
    public TimeSpan? QueueTimeout { get; init; }

    /// <summary>
    /// Most memory for keys and values, of running requests and of what is kept of earlier ones together, in bytes; at least what 65 tokens take. It is never
    /// exceeded: a request whose keys and values might not fit waits until others have ended. A sequence can have at most as many tokens as this holds
    /// (<see cref="InferenceEngine.ContextLength"/>). Default: what <see cref="MaxConcurrentRequests"/> sequences of full length take, but at most a
    /// quarter of the memory that the process may use, and at least one sequence of full length.
    /// </summary>
    public long? KeyValueMemoryBytes { get; init; }

    /// <summary>
    /// Most tokens of prompts in a pass, 16 to 512: no running answer, and no short prompt, waits for another's prompt longer than that many tokens take.
    /// More are a little faster, and less fair. Default 64.
    /// </summary>
    public int PrefillChunkTokens { get; init; } = 64;

    /// <summary>
    /// True (the default) keeps keys and values of earlier requests in memory that no running request needs, so that a prompt with the same beginning (a
    /// conversation's next turn, a common system message) is not computed again. Results do not depend on it.
    /// </summary>
    public bool PrefixCache { get; init; } = true;

    /// <summary>Makes the engine's meter, in applications with dependency injection. Default: null, a meter of its own; see <see cref="InferenceEngine.MeterName"/>.</summary>
    public IMeterFactory? MeterFactory { get; init; }
}
