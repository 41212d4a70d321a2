using System.Diagnostics.Metrics;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;
using Vicuna.Managed.Extensions.AI.Tests.Support;

namespace Vicuna.Managed.Extensions.AI.Tests;

/// <summary>Models in an application's services.</summary>
public sealed class DependencyInjectionTests
{
    [Fact]
    public async Task ChatClient_ByPath_AnswersAndSharesItsEngineWithEmbeddings()
    {
        await using ServiceProvider services = new ServiceCollection().AddVicunaChatClient(Pico.Folder).AddVicunaEmbeddingGenerator().BuildServiceProvider();
        IChatClient client = services.GetRequiredService<IChatClient>();
        Assert.Equal(Pico.Answer, (await client.GetResponseAsync(Pico.Question, Pico.Greedy)).Text);
        IEmbeddingGenerator<string, Embedding<float>> generator = services.GetRequiredService<IEmbeddingGenerator<string, Embedding<float>>>();
        Assert.Single(await generator.GenerateAsync(["a"]));
        InferenceEngine engine = services.GetRequiredService<InferenceEngine>();
        Assert.Same(engine, client.GetService<InferenceEngine>());
        Assert.Same(engine, generator.GetService<InferenceEngine>());
        Assert.Same(client, services.GetRequiredService<IChatClient>());
        Assert.Equal(2, engine.GetStatus().TotalRequests);
    }

    [Fact]
    public void Model_IsNotLoadedBeforeItIsAskedFor()
    {
        int loads = 0;
        using ServiceProvider services = new ServiceCollection()
            .AddVicunaEngine(_ =>
            {
                loads++;
                return LanguageModel.Load(Pico.Folder);
            })
            .AddVicunaChatClient()
            .AddVicunaEmbeddingGenerator()
            .BuildServiceProvider();
        Assert.Equal(0, loads);
        services.GetRequiredService<IChatClient>();
        services.GetRequiredService<IEmbeddingGenerator<string, Embedding<float>>>();
        Assert.Equal(1, loads);
    }

    [Fact]
    public async Task Models_ByKey_AreApart()
    {
        await using ServiceProvider services = new ServiceCollection()
            .AddKeyedVicunaChatClient("one", Pico.Folder, new VicunaChatClientOptions { ModelId = "first" })
            .AddKeyedVicunaChatClient(
                "two", Pico.Folder, new VicunaChatClientOptions { ModelId = "second" }, engineOptions: new EngineOptions { MaxConcurrentRequests = 3 })
            .AddKeyedVicunaEmbeddingGenerator("two", "second")
            .BuildServiceProvider();
        IChatClient one = services.GetRequiredKeyedService<IChatClient>("one");
        IChatClient two = services.GetRequiredKeyedService<IChatClient>("two");
        Assert.Equal("first", (await one.GetResponseAsync(Pico.Question, Pico.Greedy)).ModelId);
        Assert.Equal("second", (await two.GetResponseAsync(Pico.Question, Pico.Greedy)).ModelId);
        Assert.NotSame(one.GetService<InferenceEngine>(), two.GetService<InferenceEngine>());
        Assert.Equal(3, two.GetService<InferenceEngine>()!.Options.MaxConcurrentRequests);
        Assert.Same(
            two.GetService<InferenceEngine>(),
            services.GetRequiredKeyedService<IEmbeddingGenerator<string, Embedding<float>>>("two").GetService(typeof(InferenceEngine)));
        Assert.Null(services.GetService<IChatClient>());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Container_Disposed_DisposesEngineAndModel(bool isAsync)
    {
        ServiceProvider services = new ServiceCollection().AddVicunaChatClient(Pico.Folder).BuildServiceProvider();
        IChatClient client = services.GetRequiredService<IChatClient>();
        LanguageModel model = services.GetRequiredService<LanguageModel>();
        InferenceEngine engine = services.GetRequiredService<InferenceEngine>();
        if (isAsync)
        {
            await services.DisposeAsync();
        }
        else
        {
            services.Dispose();
        }

        await Assert.ThrowsAsync<ObjectDisposedException>(() => client.GetResponseAsync(Pico.Question));
        await Assert.ThrowsAsync<ObjectDisposedException>(() => engine.GenerateAsync("a"));
        Assert.Throws<ObjectDisposedException>(() => model.CreateGenerator());
    }

    [Fact]
    public async Task Middleware_IsPutAroundTheRegisteredClient()
    {
        LinesLogger log = new();
        IServiceCollection collection = new ServiceCollection().AddKeyedVicunaChatClient("local", Pico.Folder);
        collection.AddChatClient(provider => provider.GetRequiredKeyedService<IChatClient>("local")).UseLogging(log);
        await using ServiceProvider services = collection.BuildServiceProvider();
        IChatClient client = services.GetRequiredService<IChatClient>();
        Assert.Equal(Pico.Answer, (await client.GetResponseAsync(Pico.Question, Pico.Greedy)).Text);
        Assert.NotEmpty(log.Lines);
    }

    [Fact]
    public void Engine_OfAnApplicationWithMeters_HasItsMeterFromThere()
    {
        using ServiceProvider services = new ServiceCollection().AddSingleton<IMeterFactory, Meters>().AddVicunaEngine(Pico.Folder).BuildServiceProvider();
        Meters meters = (Meters)services.GetRequiredService<IMeterFactory>();
        Assert.Same(meters, services.GetRequiredService<InferenceEngine>().Options.MeterFactory);
        Assert.Equal([InferenceEngine.MeterName], meters.Names);
    }

    [Fact]
    public void ChatClient_WithoutAnEngine_SaysWhatIsMissing()
    {
        using ServiceProvider services = new ServiceCollection().AddVicunaChatClient().BuildServiceProvider();
        InvalidOperationException error = Assert.Throws<InvalidOperationException>(() => services.GetRequiredService<IChatClient>());
        Assert.Contains(nameof(InferenceEngine), error.Message, StringComparison.Ordinal);
    }

    private sealed class Meters : IMeterFactory
    {
        public List<string> Names { get; } = [];

        public Meter Create(MeterOptions options)
        {
            Names.Add(options.Name);
            return new Meter(options);
        }

        public void Dispose()
        {
        }
    }
}
