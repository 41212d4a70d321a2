using Vicuna.Managed.AspNetCore.Hosting;

namespace Vicuna.Managed.AspNetCore;

/// <summary>
/// The server in an application, for whoever wants to know whether it is ready or to use its engine directly. A singleton of
/// <see cref="VicunaServiceCollectionExtensions.AddVicuna(Microsoft.Extensions.DependencyInjection.IServiceCollection, Action{VicunaServerOptions})"/>. Safe for concurrent use.
/// </summary>
public sealed class VicunaServer
{
    private readonly ModelHost _host;

    internal VicunaServer(ModelHost host) => _host = host;

    /// <summary>How far it has come.</summary>
    public ServerState State => _host.State;

    /// <summary>The model's name in the API; null while it is loading and no name was given.</summary>
    public string? ModelId => _host.Served?.Id ?? _host.Options.ModelId;

    /// <summary>The engine, for requests from within the application; null before it is ready. The server disposes it.</summary>
    public InferenceEngine? Engine => _host.Served?.Engine;

    /// <summary>Waits until the model is loaded.</summary>
    /// <param name="cancellationToken">Stops the waiting, not the loading.</param>
    /// <returns>The engine. The task fails with the loading's error.</returns>
    /// <exception cref="OperationCanceledException">The token was cancelled, or the application ended before.</exception>
    public async Task<InferenceEngine> WaitUntilReadyAsync(CancellationToken cancellationToken = default) =>
        (await _host.Loaded.WaitAsync(cancellationToken).ConfigureAwait(false)).Engine;
}
