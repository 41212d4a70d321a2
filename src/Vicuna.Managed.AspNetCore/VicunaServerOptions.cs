namespace Vicuna.Managed.AspNetCore;

/// <summary>What is served, and within which limits. Values are checked when the application starts.</summary>
public sealed class VicunaServerOptions
{
    /// <summary>A folder as downloaded from the model hub or a .gguf file. Exactly one of this and <see cref="ModelFactory"/> is given.</summary>
    public string? ModelPath { get; set; }

    /// <summary>Makes the model, for one that is not a path: embedded in the program, for example. The server disposes the model.</summary>
    public Func<CancellationToken, Task<LanguageModel>>? ModelFactory { get; set; }

    /// <summary>How the model at <see cref="ModelPath"/> is loaded; null for the defaults.</summary>
    public LoadOptions? LoadOptions { get; set; }

    /// <summary>How the model is shared between requests: slots, queue, memory.</summary>
    public EngineOptions EngineOptions { get; set; } = new();

    /// <summary>The model's name in the API. Default: the folder's or file's name.</summary>
    public string? ModelId { get; set; }

    /// <summary>
    /// Keys of which a request needs one, as <c>Authorization: Bearer</c> or <c>X-Api-Key</c>. Where there is none, here or in <see cref="ApiKeyFile"/>,
    /// no request needs one.
    /// </summary>
    public IList<string> ApiKeys { get; } = [];

    /// <summary>A file with further keys, one a line; empty lines and lines that begin with <c>#</c> are none. Read once, at the start.</summary>
    public string? ApiKeyFile { get; set; }

    /// <summary>Routes, as they are mapped, that need no key. Default: <c>/health</c>, <c>/health/live</c> and <c>/health/ready</c>.</summary>
    public IList<string> PublicPaths { get; } = ["/health", "/health/live", "/health/ready"];

    /// <summary>Most tokens of an answer where the request does not say, 1 or more. Default: null, to the end of the context.</summary>
    public int? DefaultMaxTokens { get; set; }

    /// <summary>Most tokens that a request may ask for, 1 or more. Default: null, as many as the context has room for.</summary>
    public int? MaxTokensLimit { get; set; }

    /// <summary>Most answers that one request may ask for, prompts times <c>n</c>, 1 to 1,024. Default 8.</summary>
    public int MaxChoices { get; set; } = 8;

    /// <summary>Most texts of one request for embeddings, 1 to 65,536. Default 2,048.</summary>
    public int MaxEmbeddingInputs { get; set; } = 2048;

    /// <summary>Most bytes of a request's body, 1 or more. Default 4 MiB.</summary>
    public long MaxRequestBodyBytes { get; set; } = 4 << 20;

    /// <summary>
    /// Longest time from a request's arrival to the end of the last of its answers, or of its vectors; a request can ask for less. Where it ends during an
    /// answer, the answer ends with what it has; where it ends before, and for vectors, the request fails. Making a prompt tokens is not interrupted: what
    /// that takes can come on top. Default: null, none.
    /// </summary>
    public TimeSpan? TimeLimit { get; set; }

    /// <summary>
    /// How long requests that were accepted may go on once the application is stopping, 0 or more; then they are cancelled. The host's own shutdown timeout
    /// is raised to hold it. Default 30 s.
    /// </summary>
    public TimeSpan ShutdownTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Silence on a stream after which a comment is sent, so that proxies do not close it; above 0. Default 15 s.</summary>
    public TimeSpan PingInterval { get; set; } = TimeSpan.FromSeconds(15);

    /// <summary>
    /// Whether tools are described in the prompt, and calls enforced by form, where the model was not trained for tools. Default false: requests with
    /// tools are refused for such a model.
    /// </summary>
    public bool EnablePromptTools { get; set; }

    /// <summary>Says what is wrong with the options.</summary>
    /// <exception cref="InvalidOperationException">A value is missing or out of range; the message names it.</exception>
    internal void Check()
    {
        Require((ModelPath is null) != (ModelFactory is null), nameof(ModelPath), $"exactly one of {nameof(ModelPath)} and {nameof(ModelFactory)}");
        Require(EngineOptions is not null, nameof(EngineOptions), "options");
        Require(DefaultMaxTokens is null or >= 1, nameof(DefaultMaxTokens), "at least 1");
        Require(MaxTokensLimit is null or >= 1, nameof(MaxTokensLimit), "at least 1");
        Require(MaxChoices is >= 1 and <= 1024, nameof(MaxChoices), "1 to 1024");
        Require(MaxEmbeddingInputs is >= 1 and <= 65536, nameof(MaxEmbeddingInputs), "1 to 65536");
        Require(MaxRequestBodyBytes is >= 1 and <= int.MaxValue / 2, nameof(MaxRequestBodyBytes), $"1 to {int.MaxValue / 2}");
        Require(TimeLimit is null || TimeLimit > TimeSpan.Zero, nameof(TimeLimit), "a time above 0");
        Require(ShutdownTimeout >= TimeSpan.Zero && ShutdownTimeout <= TimeSpan.FromDays(1), nameof(ShutdownTimeout), "0 to one day");
        Require(PingInterval > TimeSpan.Zero && PingInterval <= TimeSpan.FromDays(1), nameof(PingInterval), "above 0, at most one day");
        Require(ModelId is null or { Length: >= 1 and <= 256 }, nameof(ModelId), "1 to 256 characters");
    }

    private static void Require(bool holds, string name, string expected)
    {
        if (!holds)
        {
            throw new InvalidOperationException($"{nameof(VicunaServerOptions)}.{name}: expected {expected}.");
        }
    }
}
