using Microsoft.Extensions.AI;
using Vicuna.Managed.Extensions.AI.Tests.Support;
using Vicuna.Managed.Tokenization;

namespace Vicuna.Managed.Extensions.AI.Tests;

/// <summary>What the client gives out, and what it owns.</summary>
public sealed class ServiceTests(Pico pico)
{
    [Fact]
    public void GetService_GivesMetadata()
    {
        ChatClientMetadata metadata = pico.Client.GetService<ChatClientMetadata>()!;
        Assert.Equal("vicuna.managed", metadata.ProviderName);
        Assert.Equal(Pico.ModelId, metadata.DefaultModelId);
        Assert.Null(metadata.ProviderUri);
    }

    [Fact]
    public void GetService_GivesClientEngineModelAndTokenizer()
    {
        Assert.Same(pico.Client, pico.Client.GetService<IChatClient>());
        Assert.Same(pico.Client, pico.Client.GetService<VicunaChatClient>());
        Assert.Same(pico.Client, pico.Client.GetService<object>());
        Assert.Same(pico.Engine, pico.Client.GetService<InferenceEngine>());
        Assert.Same(pico.Model, pico.Client.GetService<LanguageModel>());
        Assert.Same(pico.Model.Tokenizer, pico.Client.GetService<SentencePieceTokenizer>());
        Assert.Same(pico.Model.Tokenizer, pico.Client.GetService<Microsoft.ML.Tokenizers.Tokenizer>());
    }

    [Fact]
    public void GetService_OfAnUnknownTypeOrKey_GivesNull()
    {
        Assert.Null(pico.Client.GetService(typeof(string)));
        Assert.Null(pico.Client.GetService(typeof(IChatClient), "key"));
        Assert.Null(pico.Client.GetService(typeof(ChatClientMetadata), 1));
        Assert.Throws<ArgumentNullException>(() => pico.Client.GetService(null!));
    }

    [Fact]
    public void GetService_ThroughMiddleware_StillFindsTheEngine()
    {
        using IChatClient wrapped = new VicunaChatClient(pico.Engine).AsBuilder().UseLogging(new LinesLogger()).UseFunctionInvocation().Build();
        Assert.Same(pico.Engine, wrapped.GetService<InferenceEngine>());
    }

    [Fact]
    public async Task ModelId_Given_IsInMetadataAndAnswers()
    {
        using VicunaChatClient client = new(pico.Engine, new VicunaChatClientOptions { ModelId = "house-model" }, null);
        Assert.Equal("house-model", ((ChatClientMetadata)client.GetService(typeof(ChatClientMetadata))!).DefaultModelId);
        Assert.Equal("house-model", (await client.GetResponseAsync(Pico.Question, Pico.Greedy)).ModelId);
    }

    [Fact]
    public async Task Dispose_OfAClientOfAnEngine_LeavesTheEngine()
    {
        VicunaChatClient client = new(pico.Engine);
        client.Dispose();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => client.GetResponseAsync(Pico.Question));
        Assert.Equal(Pico.Answer, (await pico.Client.GetResponseAsync(Pico.Question, Pico.Greedy)).Text);
    }

    [Fact]
    public async Task Dispose_OfAClientOfAModel_DisposesTheEngineAndLeavesTheModel()
    {
        VicunaChatClient client = new(pico.Model);
        InferenceEngine engine = (InferenceEngine)client.GetService(typeof(InferenceEngine))!;
        Assert.Equal(Pico.Answer, (await client.GetResponseAsync(Pico.Question, Pico.Greedy)).Text);
        client.Dispose();
        client.Dispose();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => engine.GenerateAsync("Hello"));
        Assert.NotNull(await pico.Model.GenerateAsync("Hello", new GenerationOptions { MaxNewTokens = 1 }));
    }

    [Fact]
    public async Task Dispose_OfALoadedClient_DisposesModelAndEngine()
    {
        VicunaChatClient client = await VicunaChatClient.LoadAsync(Pico.Folder);
        LanguageModel model = (LanguageModel)client.GetService(typeof(LanguageModel))!;
        Assert.Equal(Pico.Answer, (await client.GetResponseAsync(Pico.Question, Pico.Greedy)).Text);
        await client.DisposeAsync();
        await client.DisposeAsync();
        Assert.Throws<ObjectDisposedException>(() => model.CreateGenerator());
        await Assert.ThrowsAsync<ObjectDisposedException>(() => client.GetResponseAsync(Pico.Question));
    }

    [Fact]
    public async Task Load_OfNothing_SaysSo() =>
        await Assert.ThrowsAsync<FileNotFoundException>(() => VicunaChatClient.LoadAsync(Path.Combine(Pico.Folder, "missing")));

    [Fact]
    public async Task Options_OutOfRange_AreRefusedByName()
    {
        ArgumentException error = Assert.Throws<ArgumentOutOfRangeException>(
            () => new VicunaChatClient(pico.Model, null, new VicunaChatClientOptions { DefaultMaxOutputTokens = 0 }, null));
        Assert.Contains("DefaultMaxOutputTokens", error.Message, StringComparison.Ordinal);
        error = await Assert.ThrowsAsync<ArgumentException>(
            () => VicunaChatClient.LoadAsync(Pico.Folder, options: new VicunaChatClientOptions { ModelId = "" }));
        Assert.Contains("ModelId", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Messages_Null_AreRefusedAtOnce()
    {
        Assert.Throws<ArgumentNullException>(() => { _ = pico.Client.GetStreamingResponseAsync((IEnumerable<ChatMessage>)null!); });
        await Assert.ThrowsAsync<ArgumentNullException>(() => pico.Client.GetResponseAsync((IEnumerable<ChatMessage>)null!));
    }
}
