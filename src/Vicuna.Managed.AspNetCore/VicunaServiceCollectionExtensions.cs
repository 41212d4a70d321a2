using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Vicuna.Managed.AspNetCore.Endpoints;
using Vicuna.Managed.AspNetCore.Hosting;
using Vicuna.Managed.AspNetCore.Metrics;

namespace Vicuna.Managed.AspNetCore;

/// <summary>Adds a model and its server to an application.</summary>
public static class VicunaServiceCollectionExtensions
{
    // What a host needs beyond the draining to close its connections.
    private static readonly TimeSpan Closing = TimeSpan.FromSeconds(10);

    /// <summary>Adds a server for a model, which is loaded in the background when the application starts.</summary>
    /// <param name="services">The application's services.</param>
    /// <param name="modelPath">A folder as downloaded from the model hub or a .gguf file.</param>
    /// <param name="configure">Sets further options; null for the defaults.</param>
    /// <returns>The services.</returns>
    public static IServiceCollection AddVicuna(this IServiceCollection services, string modelPath, Action<VicunaServerOptions>? configure = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(modelPath);
        return services.AddVicuna(options =>
        {
            options.ModelPath = modelPath;
            configure?.Invoke(options);
        });
    }

    /// <summary>
    /// Adds a server for a model, which is loaded in the background when the application starts. Its endpoints are mapped by
    /// <see cref="VicunaEndpointRouteBuilderExtensions.MapVicuna"/>. One server per application.
    /// </summary>
    /// <param name="services">The application's services.</param>
    /// <param name="configure">Sets the options, a model among them.</param>
    /// <returns>The services.</returns>
    public static IServiceCollection AddVicuna(this IServiceCollection services, Action<VicunaServerOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(configure);
        services.Configure(configure);
        if (services.Any(service => service.ServiceType == typeof(ModelHost)))
        {
            return services;
        }

        services.AddRoutingCore();
        services.AddLogging();
        services.AddOptions<HostOptions>().PostConfigure<IOptions<VicunaServerOptions>>((host, server) =>
        {
            TimeSpan needed = server.Value.ShutdownTimeout + Closing;
            host.ShutdownTimeout = host.ShutdownTimeout > needed ? host.ShutdownTimeout : needed;
        });
        services.AddSingleton<ServerMetrics>();
        services.AddSingleton<ModelHost>();
        services.AddSingleton(provider => new VicunaServer(provider.GetRequiredService<ModelHost>()));
        services.AddSingleton<Gate>();
        services.AddHostedService(provider => provider.GetRequiredService<ModelHost>());
        return services;
    }
}
