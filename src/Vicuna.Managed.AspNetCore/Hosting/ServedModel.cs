namespace Vicuna.Managed.AspNetCore.Hosting;

/// <summary>A model that is ready to be asked.</summary>
/// <param name="Model">The model.</param>
/// <param name="Engine">What shares it between requests.</param>
/// <param name="Id">Its name in the API.</param>
/// <param name="Created">When it was loaded, in seconds since 1970.</param>
/// <param name="LoadTime">How long loading took.</param>
internal sealed record ServedModel(LanguageModel Model, InferenceEngine Engine, string Id, long Created, TimeSpan LoadTime)
{
    /// <summary>Forms of answers that requests had lately.</summary>
    public OutputConstraintCache Constraints { get; } = new();

    /// <summary>Requests that the engine can have at a time, running and waiting.</summary>
    public int Room => Engine.Options.MaxConcurrentRequests + (Engine.Options.MaxQueuedRequests ?? 0);

    /// <summary>Whether the engine would refuse another request.</summary>
    public bool IsFull(EngineStatus status) => status.ActiveRequests + status.QueuedRequests >= Room;
}
