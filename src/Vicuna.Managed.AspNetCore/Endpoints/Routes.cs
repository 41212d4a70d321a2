namespace Vicuna.Managed.AspNetCore.Endpoints;

/// <summary>The server's routes.</summary>
internal static class Routes
{
    private static readonly string[] Get = ["GET", "HEAD"];
    private static readonly string[] Post = ["POST"];

    /// <summary>All of them. They take every method, so that a wrong one is answered with an error in OpenAI's form too.</summary>
    public static IReadOnlyList<ServerRoute> All { get; } =
    [
        new("/v1/chat/completions", Post, ChatEndpoint.HandleAsync) { Operation = "chat", PromptField = "messages" },
        new("/v1/completions", Post, CompletionsEndpoint.HandleAsync) { Operation = "text_completion", PromptField = "prompt" },
        new("/v1/embeddings", Post, EmbeddingsEndpoint.HandleAsync) { Operation = "embeddings", PromptField = "input" },
        new("/v1/models", Get, ModelsEndpoint.ListAsync),
        new("/v1/models/{**id}", Get, ModelsEndpoint.GetAsync),
        new("/v1/{**path}", [], _ => Task.CompletedTask),
        new("/health", Get, HealthEndpoint.HealthAsync) { AnswersAlways = true },
        new("/health/ready", Get, HealthEndpoint.ReadyAsync) { AnswersAlways = true },
        new("/health/live", Get, HealthEndpoint.LiveAsync) { AnswersAlways = true },
        new("/metrics", Get, MetricsEndpoint.HandleAsync) { AnswersWhileDraining = true },
    ];
}
