using Microsoft.Extensions.Hosting;

namespace Vicuna.Managed.Cli;

/// <summary>Leaves signals to the verb, which ends the application itself: the host's own lifetime would end the process with other codes.</summary>
internal sealed class SignalLifetime : IHostLifetime
{
    /// <inheritdoc/>
    public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
