using System.Diagnostics.Metrics;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Vicuna.Managed.Extensions.AI;

/// <summary>
/// Adds local models to an application's services: one <see cref="InferenceEngine"/> a model, shared by all that uses it. Everything is a singleton that the container
/// disposes. A model is loaded when the engine, or something over it, is first asked for, on the thread that asks; ask for it where the application starts,
/// to load it there.
/// </summary>
/// <example>
/// Middleware of Microsoft.Extensions.AI is put around the registered client by its own builder:
/// <code>
/// services.AddVicunaChatClient("models/vicuna-7b-v1.3");
/// services.AddKeyedChatClient("traced", provider => provider.GetRequiredService&lt;IChatClient&gt;()).UseOpenTelemetry();
/// // or, without a container:
/// IChatClient traced = client.AsBuilder().UseOpenTelemetry().Build();
/// </code>
/// </example>
public static class VicunaChatServiceCollectionExtensions
{
    /// <summary>Adds a model and its engine.</summary>
    /// <param name="services">The application's services.</param>
    /// <param name="modelPath">A folder as downloaded from the model hub or a .gguf file.</param>
    /// <param name="loadOptions">How to load; null for the defaults.</param>
    /// <param name="engineOptions">Limits of the engine; null for the defaults. Its meter is made by the application's <see cref="IMeterFactory"/> where there is one.</param>
    /// <param name="serviceKey">Key of the services, for applications with several models; null for none.</param>
    /// <returns>The services.</returns>
    public static IServiceCollection AddVicunaEngine(
        this IServiceCollection services, string modelPath, LoadOptions? loadOptions = null, EngineOptions? engineOptions = null, object? serviceKey = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(modelPath);
        return services.AddVicunaEngine(_ => LanguageModel.Load(modelPath, loadOptions), engineOptions, serviceKey);
    }

    /// <summary>Adds a model that is not a path, embedded in the program for example, and its engine with its defaults.</summary>
    /// <param name="services">The application's services.</param>
    /// <param name="modelFactory">Makes the model, which the container disposes.</param>
    /// <returns>The services.</returns>
    public static IServiceCollection AddVicunaEngine(this IServiceCollection services, Func<IServiceProvider, LanguageModel> modelFactory) =>
        services.AddVicunaEngine(modelFactory, null, null);

    /// <summary>Adds a model that is not a path, embedded in the program for example, and its engine.</summary>
    /// <param name="services">The application's services.</param>
    /// <param name="modelFactory">Makes the model, which the container disposes.</param>
    /// <param name="engineOptions">Limits of the engine; null for the defaults. Its meter is made by the application's <see cref="IMeterFactory"/> where there is one.</param>
    /// <param name="serviceKey">Key of the services, for applications with several models; null for none.</param>
    /// <returns>The services.</returns>
    public static IServiceCollection AddVicunaEngine(
        this IServiceCollection services, Func<IServiceProvider, LanguageModel> modelFactory, EngineOptions? engineOptions, object? serviceKey)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(modelFactory);
        Add(services, serviceKey, modelFactory);
        // What is made later is disposed sooner: the engine before its model.
        Add(services, serviceKey, provider => new InferenceEngine(Get<LanguageModel>(provider, serviceKey), WithMeters(engineOptions, provider)));
        return services;
    }

    /// <summary>Adds an <see cref="IChatClient"/> with the defaults over an engine that the services have.</summary>
    /// <param name="services">The application's services.</param>
    /// <returns>The services.</returns>
    public static IServiceCollection AddVicunaChatClient(this IServiceCollection services) => services.AddVicunaChatClient(options: null, serviceKey: null);

    /// <summary>Adds an <see cref="IChatClient"/> over an engine that the services have.</summary>
    /// <param name="services">The application's services.</param>
    /// <param name="options">Options; null for the defaults.</param>
    /// <param name="serviceKey">Key of the engine and of the client; null for none.</param>
    /// <returns>The services.</returns>
    public static IServiceCollection AddVicunaChatClient(this IServiceCollection services, VicunaChatClientOptions? options, object? serviceKey)
    {
        ArgumentNullException.ThrowIfNull(services);
        Add<IChatClient>(
            services,
            serviceKey,
            provider => new VicunaChatClient(Get<InferenceEngine>(provider, serviceKey), options, provider.GetService<ILoggerFactory>()));
        return services;
    }

    /// <summary>Adds a model, its engine and an <see cref="IChatClient"/> over it.</summary>
    /// <param name="services">The application's services.</param>
    /// <param name="modelPath">A folder as downloaded from the model hub or a .gguf file.</param>
    /// <param name="options">Options; null for the defaults.</param>
    /// <param name="loadOptions">How to load; null for the defaults.</param>
    /// <param name="engineOptions">Limits of the engine; null for the defaults.</param>
    /// <param name="serviceKey">Key of the services, for applications with several models; null for none.</param>
    /// <returns>The services.</returns>
    public static IServiceCollection AddVicunaChatClient(
        this IServiceCollection services,
        string modelPath,
        VicunaChatClientOptions? options = null,
        LoadOptions? loadOptions = null,
        EngineOptions? engineOptions = null,
        object? serviceKey = null) =>
        services.AddVicunaEngine(modelPath, loadOptions, engineOptions, serviceKey).AddVicunaChatClient(options, serviceKey);

    /// <summary>Adds an <see cref="IEmbeddingGenerator{TInput, TEmbedding}"/> over an engine that the services have: the chat client's, for one.</summary>
    /// <param name="services">The application's services.</param>
    /// <param name="modelId">The model's name in results; null for the name of its folder or file.</param>
    /// <param name="serviceKey">Key of the engine and of the generator; null for none.</param>
    /// <returns>The services.</returns>
    public static IServiceCollection AddVicunaEmbeddingGenerator(this IServiceCollection services, string? modelId = null, object? serviceKey = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        Add<IEmbeddingGenerator<string, Embedding<float>>>(
            services, serviceKey, provider => new VicunaEmbeddingGenerator(Get<InferenceEngine>(provider, serviceKey), modelId));
        return services;
    }

    private static EngineOptions? WithMeters(EngineOptions? options, IServiceProvider provider) =>
        options?.MeterFactory is null && provider.GetService<IMeterFactory>() is { } meters
            ? (options ?? new EngineOptions()) with { MeterFactory = meters }
            : options;

    private static void Add<T>(IServiceCollection services, object? serviceKey, Func<IServiceProvider, T> factory)
        where T : class
    {
        if (serviceKey is null)
        {
            services.AddSingleton(factory);
        }
        else
        {
            services.AddKeyedSingleton(serviceKey, (provider, _) => factory(provider));
        }
    }

    private static T Get<T>(IServiceProvider provider, object? serviceKey)
        where T : notnull =>
        serviceKey is null ? provider.GetRequiredService<T>() : provider.GetRequiredKeyedService<T>(serviceKey);
}
