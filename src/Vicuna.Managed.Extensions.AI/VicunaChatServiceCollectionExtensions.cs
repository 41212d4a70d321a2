using System.Diagnostics.Metrics;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Vicuna.Managed.Extensions.AI;

/// <summary>
/// Adds local models to an application's services: one <see cref="InferenceEngine"/> a model, shared by all that uses it. Everything is a singleton that the
/// container disposes. A model is loaded when the engine, or something over it, is first asked for, on the thread that asks: ask for it where the application
/// starts, to load it there. An engine's meter is made by the application's <see cref="IMeterFactory"/> where there is one.
/// </summary>
/// <example>
/// Middleware of Microsoft.Extensions.AI is put around a client by its own builder, in a container or without one:
/// <code>
/// services.AddKeyedVicunaChatClient("local", "models/vicuna-7b-v1.3");
/// services.AddChatClient(provider => provider.GetRequiredKeyedService&lt;IChatClient&gt;("local")).UseFunctionInvocation().UseOpenTelemetry();
///
/// IChatClient traced = client.AsBuilder().UseOpenTelemetry().Build();
/// </code>
/// </example>
public static class VicunaChatServiceCollectionExtensions
{
    /// <summary>Adds a model and its engine.</summary>
    /// <param name="services">The application's services.</param>
    /// <param name="modelPath">A folder as downloaded from the model hub or a .gguf file.</param>
    /// <param name="loadOptions">How to load; null for the defaults.</param>
    /// <param name="engineOptions">Limits of the engine; null for the defaults.</param>
    /// <returns>The services.</returns>
    public static IServiceCollection AddVicunaEngine(
        this IServiceCollection services, string modelPath, LoadOptions? loadOptions = null, EngineOptions? engineOptions = null) =>
        services.AddKeyedVicunaEngine(null, modelPath, loadOptions, engineOptions);

    /// <summary>Adds a model that is not a path, embedded in the program for example, and its engine with the defaults.</summary>
    /// <param name="services">The application's services.</param>
    /// <param name="modelFactory">Makes the model, which the container disposes.</param>
    /// <returns>The services.</returns>
    public static IServiceCollection AddVicunaEngine(this IServiceCollection services, Func<IServiceProvider, LanguageModel> modelFactory) =>
        services.AddKeyedVicunaEngine(null, modelFactory, null);

    /// <summary>Adds a model that is not a path, embedded in the program for example, and its engine.</summary>
    /// <param name="services">The application's services.</param>
    /// <param name="modelFactory">Makes the model, which the container disposes.</param>
    /// <param name="engineOptions">Limits of the engine; null for the defaults.</param>
    /// <returns>The services.</returns>
    public static IServiceCollection AddVicunaEngine(
        this IServiceCollection services, Func<IServiceProvider, LanguageModel> modelFactory, EngineOptions? engineOptions) =>
        services.AddKeyedVicunaEngine(null, modelFactory, engineOptions);

    /// <summary>Adds a model and its engine by a key, for applications with several models.</summary>
    /// <param name="services">The application's services.</param>
    /// <param name="serviceKey">The key; null for none.</param>
    /// <param name="modelPath">A folder as downloaded from the model hub or a .gguf file.</param>
    /// <param name="loadOptions">How to load; null for the defaults.</param>
    /// <param name="engineOptions">Limits of the engine; null for the defaults.</param>
    /// <returns>The services.</returns>
    public static IServiceCollection AddKeyedVicunaEngine(
        this IServiceCollection services, object? serviceKey, string modelPath, LoadOptions? loadOptions = null, EngineOptions? engineOptions = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(modelPath);
        return services.AddKeyedVicunaEngine(serviceKey, _ => LanguageModel.Load(modelPath, loadOptions), engineOptions);
    }

    /// <summary>Adds a model that is not a path, and its engine, by a key, for applications with several models.</summary>
    /// <param name="services">The application's services.</param>
    /// <param name="serviceKey">The key; null for none.</param>
    /// <param name="modelFactory">Makes the model, which the container disposes.</param>
    /// <param name="engineOptions">Limits of the engine; null for the defaults.</param>
    /// <returns>The services.</returns>
    public static IServiceCollection AddKeyedVicunaEngine(
        this IServiceCollection services, object? serviceKey, Func<IServiceProvider, LanguageModel> modelFactory, EngineOptions? engineOptions)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(modelFactory);
        Add(services, serviceKey, modelFactory);
        // What is made later is disposed sooner: the engine before its model.
        Add(services, serviceKey, provider => new InferenceEngine(Get<LanguageModel>(provider, serviceKey), WithMeters(engineOptions, provider)));
        return services;
    }

    /// <summary>Adds a model, its engine and an <see cref="IChatClient"/> over it.</summary>
    /// <param name="services">The application's services.</param>
    /// <param name="modelPath">A folder as downloaded from the model hub or a .gguf file.</param>
    /// <param name="options">Options; null for the defaults.</param>
    /// <param name="loadOptions">How to load; null for the defaults.</param>
    /// <param name="engineOptions">Limits of the engine; null for the defaults.</param>
    /// <returns>The services.</returns>
    public static IServiceCollection AddVicunaChatClient(
        this IServiceCollection services,
        string modelPath,
        VicunaChatClientOptions? options = null,
        LoadOptions? loadOptions = null,
        EngineOptions? engineOptions = null) =>
        services.AddKeyedVicunaChatClient(null, modelPath, options, loadOptions, engineOptions);

    /// <summary>Adds an <see cref="IChatClient"/> with the defaults over an engine that the services have.</summary>
    /// <param name="services">The application's services.</param>
    /// <returns>The services.</returns>
    public static IServiceCollection AddVicunaChatClient(this IServiceCollection services) => services.AddKeyedVicunaChatClient(null, options: null);

    /// <summary>Adds an <see cref="IChatClient"/> over an engine that the services have.</summary>
    /// <param name="services">The application's services.</param>
    /// <param name="options">Options; null for the defaults.</param>
    /// <returns>The services.</returns>
    public static IServiceCollection AddVicunaChatClient(this IServiceCollection services, VicunaChatClientOptions? options) =>
        services.AddKeyedVicunaChatClient(null, options);

    /// <summary>Adds a model, its engine and an <see cref="IChatClient"/> over it by a key, for applications with several models.</summary>
    /// <param name="services">The application's services.</param>
    /// <param name="serviceKey">The key; null for none.</param>
    /// <param name="modelPath">A folder as downloaded from the model hub or a .gguf file.</param>
    /// <param name="options">Options; null for the defaults.</param>
    /// <param name="loadOptions">How to load; null for the defaults.</param>
    /// <param name="engineOptions">Limits of the engine; null for the defaults.</param>
    /// <returns>The services.</returns>
    public static IServiceCollection AddKeyedVicunaChatClient(
        this IServiceCollection services,
        object? serviceKey,
        string modelPath,
        VicunaChatClientOptions? options = null,
        LoadOptions? loadOptions = null,
        EngineOptions? engineOptions = null) =>
        services.AddKeyedVicunaEngine(serviceKey, modelPath, loadOptions, engineOptions).AddKeyedVicunaChatClient(serviceKey, options);

    /// <summary>Adds an <see cref="IChatClient"/> by a key, over an engine that the services have by the same key.</summary>
    /// <param name="services">The application's services.</param>
    /// <param name="serviceKey">The key; null for none.</param>
    /// <param name="options">Options; null for the defaults.</param>
    /// <returns>The services.</returns>
    public static IServiceCollection AddKeyedVicunaChatClient(this IServiceCollection services, object? serviceKey, VicunaChatClientOptions? options)
    {
        ArgumentNullException.ThrowIfNull(services);
        Add<IChatClient>(
            services, serviceKey, provider => new VicunaChatClient(Get<InferenceEngine>(provider, serviceKey), options, provider.GetService<ILoggerFactory>()));
        return services;
    }

    /// <summary>Adds an <see cref="IEmbeddingGenerator{TInput, TEmbedding}"/> over an engine that the services have: the chat client's, for one.</summary>
    /// <param name="services">The application's services.</param>
    /// <param name="modelId">The model's name in results; null for the name of its folder or file.</param>
    /// <returns>The services.</returns>
    public static IServiceCollection AddVicunaEmbeddingGenerator(this IServiceCollection services, string? modelId = null) =>
        services.AddKeyedVicunaEmbeddingGenerator(null, modelId);

    /// <summary>Adds an <see cref="IEmbeddingGenerator{TInput, TEmbedding}"/> by a key, over an engine that the services have by the same key.</summary>
    /// <param name="services">The application's services.</param>
    /// <param name="serviceKey">The key; null for none.</param>
    /// <param name="modelId">The model's name in results; null for the name of its folder or file.</param>
    /// <returns>The services.</returns>
    public static IServiceCollection AddKeyedVicunaEmbeddingGenerator(this IServiceCollection services, object? serviceKey, string? modelId = null)
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
