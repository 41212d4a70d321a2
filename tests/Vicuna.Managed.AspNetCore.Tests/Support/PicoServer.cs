using Vicuna.Managed.AspNetCore.Tests.Support;

[assembly: AssemblyFixture(typeof(PicoServer))]

namespace Vicuna.Managed.AspNetCore.Tests.Support;

/// <summary>One server for all tests that ask it and change nothing.</summary>
public sealed class PicoServer : IAsyncLifetime
{
    internal TestServer Server { get; private set; } = null!;

    public async ValueTask InitializeAsync() => Server = await TestServer.StartAsync(options => options.EngineOptions = new EngineOptions { MaxQueuedRequests = 1000 });

    public async ValueTask DisposeAsync() => await Server.DisposeAsync();
}
