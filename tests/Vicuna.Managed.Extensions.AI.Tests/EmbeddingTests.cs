using Microsoft.Extensions.AI;
using Vicuna.Managed.Extensions.AI.Tests.Support;

namespace Vicuna.Managed.Extensions.AI.Tests;

/// <summary>Texts to vectors.</summary>
public sealed class EmbeddingTests(Pico pico)
{
    private const int Dimensions = 128;

    private VicunaEmbeddingGenerator Generator => new(pico.Engine);

    [Fact]
    public async Task Vectors_AreTheModels_InOrder_WithUsage()
    {
        string[] texts = [.. Enumerable.Range(0, 25).Select(i => $"What is {i} plus 4? {new string('a', i)}")];
        GeneratedEmbeddings<Embedding<float>> embeddings = await Generator.GenerateAsync(texts);
        Assert.Equal(texts.Length, embeddings.Count);
        int tokens = 0;
        for (int i = 0; i < texts.Length; i++)
        {
            EmbeddingResult alone = pico.Model.Embed(texts[i]);
            tokens += alone.PromptTokens;
            Assert.Equal(alone.Vector, embeddings[i].Vector.ToArray());
            Assert.Equal(Dimensions, embeddings[i].Dimensions);
            Assert.Equal(Pico.ModelId, embeddings[i].ModelId);
            Assert.NotNull(embeddings[i].CreatedAt);
            Assert.Equal(1, Math.Sqrt(embeddings[i].Vector.ToArray().Sum(value => (double)value * value)), 1e-4);
        }

        Assert.Equal(tokens, embeddings.Usage!.InputTokenCount);
        Assert.Equal(tokens, embeddings.Usage.TotalTokenCount);
    }

    [Fact]
    public async Task Texts_ManyMoreThanTheEngineTakes_AreAllDone()
    {
        using InferenceEngine engine = new(pico.Model, new EngineOptions { MaxConcurrentRequests = 2, MaxQueuedRequests = 0 });
        using VicunaEmbeddingGenerator generator = new(engine);
        GeneratedEmbeddings<Embedding<float>> embeddings = await generator.GenerateAsync(Enumerable.Range(0, 40).Select(i => $"text {i}"));
        Assert.Equal(40, embeddings.Count);
        Assert.Equal(40, engine.GetStatus().TotalRequests);
        Assert.Equal(0, engine.GetStatus().TotalRejected);
    }

    [Fact]
    public async Task Texts_None_GiveNoVectors()
    {
        GeneratedEmbeddings<Embedding<float>> embeddings = await Generator.GenerateAsync([]);
        Assert.Empty(embeddings);
        Assert.Equal(0, embeddings.Usage!.TotalTokenCount);
    }

    [Fact]
    public async Task Text_Null_IsRefusedByPlace()
    {
        ArgumentException error = await Assert.ThrowsAsync<ArgumentException>(() => Generator.GenerateAsync(["a", null!]));
        Assert.Contains("values[1]", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Dimensions_OtherThanTheModels_AreRefused()
    {
        NotSupportedException error = await Assert.ThrowsAsync<NotSupportedException>(
            () => Generator.GenerateAsync(["a"], new EmbeddingGenerationOptions { Dimensions = 64 }));
        Assert.Contains("128", error.Message, StringComparison.Ordinal);
        Assert.Contains("64", error.Message, StringComparison.Ordinal);
        Assert.Single(await Generator.GenerateAsync(["a"], new EmbeddingGenerationOptions { Dimensions = Dimensions, ModelId = Pico.ModelId }));
    }

    [Fact]
    public async Task ModelId_OfAnotherModel_IsRefused() => await Assert.ThrowsAsync<ArgumentException>(
        () => Generator.GenerateAsync(["a"], new EmbeddingGenerationOptions { ModelId = "text-embedding-3-small" }));

    [Fact]
    public async Task Text_LongerThanTheContext_IsRefusedAsTheEngineDoes() => await Assert.ThrowsAsync<ContextLengthExceededException>(
        () => Generator.GenerateAsync(["a", string.Concat(Enumerable.Repeat("What is 3 plus 4? ", 200))]));

    [Fact]
    public async Task Cancelled_Ends()
    {
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Generator.GenerateAsync(["a"], cancellationToken: new CancellationToken(canceled: true)));
    }

    [Fact]
    public void GetService_GivesMetadataEngineAndModel()
    {
        VicunaEmbeddingGenerator generator = Generator;
        EmbeddingGeneratorMetadata metadata = generator.GetService<EmbeddingGeneratorMetadata>()!;
        Assert.Equal("vicuna.managed", metadata.ProviderName);
        Assert.Equal(Pico.ModelId, metadata.DefaultModelId);
        Assert.Equal(Dimensions, metadata.DefaultModelDimensions);
        Assert.Same(generator, generator.GetService<VicunaEmbeddingGenerator>());
        Assert.Same(pico.Engine, generator.GetService<InferenceEngine>());
        Assert.Same(pico.Model, generator.GetService<LanguageModel>());
        Assert.Null(generator.GetService(typeof(InferenceEngine), "key"));
        Assert.Null(generator.GetService(typeof(string)));
    }

    [Fact]
    public async Task Dispose_LeavesTheEngine()
    {
        VicunaEmbeddingGenerator generator = Generator;
        generator.Dispose();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => generator.GenerateAsync(["a"]));
        Assert.Single(await Generator.GenerateAsync(["a"]));
    }
}
