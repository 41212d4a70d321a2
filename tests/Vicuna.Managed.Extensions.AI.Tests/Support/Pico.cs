using Microsoft.Extensions.AI;
using Microsoft.Extensions.Logging;
using Vicuna.Managed.Extensions.AI.Tests.Support;
using Vicuna.Managed.Tests.Support;

[assembly: AssemblyFixture(typeof(Pico))]

namespace Vicuna.Managed.Extensions.AI.Tests.Support;

/// <summary>The embedded model with an engine, for all tests that ask it and change nothing.</summary>
public sealed class Pico : IAsyncDisposable
{
    public const string ModelId = "pico-vicuna";
    public const string Question = "What is 3 plus 4?";
    public const string Answer = "Three plus four is seven.";

    public Pico()
    {
        Model = LanguageModel.Load(Folder);
        Engine = new InferenceEngine(Model, new EngineOptions { MaxQueuedRequests = 1000 });
        Client = new VicunaChatClient(Engine);
    }

    public static string Folder => RepositoryFolder.Find("samples/models/pico-vicuna");

    public LanguageModel Model { get; }

    public InferenceEngine Engine { get; }

    public IChatClient Client { get; }

    /// <summary>The likeliest answer: the same each time.</summary>
    public static ChatOptions Greedy => new() { Temperature = 0 };

    /// <summary>The likeliest answer, of a length that does not depend on what the model says.</summary>
    public static ChatOptions GreedyOf(int tokens) => new()
    {
        Temperature = 0,
        MaxOutputTokens = tokens,
        RawRepresentationFactory = _ => new GenerationOptions { IgnoreEndOfSequence = true },
    };

    /// <summary>A client with a model of its own, whose conversations are seen as the template gets them.</summary>
    internal static (VicunaChatClient Client, RecordingFormatter Seen) Recording(VicunaChatClientOptions? options = null, ILoggerFactory? loggers = null)
    {
        RecordingFormatter formatter = new();
        LanguageModel model = LanguageModel.Load(Folder, new LoadOptions { PromptFormatter = formatter });
        return (new VicunaChatClient(model, null, options, loggers), formatter);
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await Engine.DisposeAsync();
        Model.Dispose();
    }
}
