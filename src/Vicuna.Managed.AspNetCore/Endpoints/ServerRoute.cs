namespace Vicuna.Managed.AspNetCore.Endpoints;

/// <summary>One of the server's routes.</summary>
/// <param name="Pattern">The path, as it is mapped.</param>
/// <param name="Methods">Methods that it takes; none where there is nothing at the path.</param>
/// <param name="Handler">Answers a request.</param>
internal sealed record ServerRoute(string Pattern, IReadOnlyList<string> Methods, Func<Exchange, Task> Handler)
{
    /// <summary>Name of the operation in metrics, as in OpenTelemetry's conventions; null where no model works.</summary>
    public string? Operation { get; init; }

    /// <summary>Field of the request that the prompt is in.</summary>
    public string? PromptField { get; init; }

    /// <summary>Whether the route is about the server's state, and so answers in every one.</summary>
    public bool AnswersAlways { get; init; }

    /// <summary>Whether the route goes on answering while the server is ending.</summary>
    public bool AnswersWhileDraining { get; init; }
}
