using System.Runtime.CompilerServices;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Vicuna.Managed.Chat;
using Vicuna.Managed.Extensions.AI.Translation;
using ChatMessage = Microsoft.Extensions.AI.ChatMessage;

namespace Vicuna.Managed.Extensions.AI;

/// <summary>
/// A local model as an <see cref="IChatClient"/>, over an <see cref="InferenceEngine"/>: any number of callers share the model. Safe for concurrent use.
/// All compute is on the engine's thread, nothing of it on a caller's; what callers may change later, messages and options, is read before a call returns
/// and never changed. <c>GetService</c> gives <see cref="ChatClientMetadata"/>, this client, the <see cref="InferenceEngine"/>, its
/// <see cref="LanguageModel"/> and, where the model has one, its <see cref="Tokenization.SentencePieceTokenizer"/>, by their types or base types and
/// without a key.
/// </summary>
/// <remarks>
/// <para>
/// Messages. <see cref="ChatOptions.Instructions"/> come first, then all messages of the roles <c>system</c> and <c>developer</c>: together they are the
/// system message of the model's template, and without any the template's own is used. Messages of one role that follow each other are one turn. The
/// first turn and the last are the user's. Text is the only content; reasoning of earlier turns is left out on purpose, as models are not shown it again,
/// and counts (<see cref="UsageContent"/>) are no content. Anything else, images for example, is refused. Authors' names have no place in the templates
/// and are not shown to the model.
/// </para>
/// <para>
/// Options. A property that is null takes the model's own default; <see cref="ChatOptions.MaxOutputTokens"/> takes
/// <see cref="VicunaChatClientOptions.DefaultMaxOutputTokens"/>, else the context's end. <see cref="ChatOptions.ModelId"/> is this model's or null.
/// <see cref="ChatOptions.RawRepresentationFactory"/> may make <see cref="GenerationOptions"/>, which go before the other properties.
/// <see cref="ChatOptions.AdditionalProperties"/> may have <c>min_p</c> and <c>repetition_penalty</c> (numbers), <c>logit_bias</c> (a dictionary of
/// numbers, -100 to 100, by token id; -100 bans a token), <c>priority</c> (a <see cref="RequestPriority"/>, or <c>low</c>, <c>normal</c>, <c>high</c>)
/// and <c>time_limit</c> (a <see cref="TimeSpan"/>, or seconds; see <see cref="RequestOptions.TimeLimit"/>). <see cref="ChatOptions.ResponseFormat"/> is
/// enforced while tokens are chosen: an answer that ended by itself is JSON, of the schema where there is one, with every property of it. Reasoning and
/// background options have no meaning here and are not looked at.
/// </para>
/// <para>
/// Conversations. The client keeps none, and refuses a <see cref="ChatOptions.ConversationId"/>: send the whole history. That costs little, as the engine
/// keeps what it has computed of earlier turns (<see cref="EngineOptions.PrefixCache"/>); how much of a prompt that was is in
/// <see cref="UsageDetails.CachedInputTokenCount"/>.
/// </para>
/// <para>
/// Tools. No template of the library has a form for them. With <see cref="VicunaChatClientOptions.EnablePromptTools"/> functions are described in the
/// system message, and the answer is given a form that is a call or words: words are streamed, a call comes with the last update. One call an answer; it
/// is one of a function that exists, with arguments of its schema, whatever the model. Not together with a format of JSON. Calls and results in the
/// history are shown to the model in the same form. Without it, tools that a request merely offers are ignored, which is logged once.
/// </para>
/// <para>
/// Answers. All updates have response, message and model ids and a time; their raw representation is the <see cref="GenerationChunk"/>. The last one has
/// the finish reason, where every limit counts as <see cref="ChatFinishReason.Length"/>, and the usage. The raw representation of a whole response is the
/// <see cref="GenerationResult"/>. Errors are those of <see cref="InferenceEngine.SubmitAsync"/> and <see cref="InferenceRequest.ReadAsync"/>, as they
/// are: among them <see cref="EngineOverloadedException"/> where the queue is full and <see cref="ContextLengthExceededException"/> where the messages do
/// not fit.
/// </para>
/// </remarks>
public sealed partial class VicunaChatClient : IChatClient, IAsyncDisposable
{
    private readonly InferenceEngine _engine;
    private readonly InferenceEngine? _ownEngine;
    private readonly LanguageModel? _ownModel;
    private readonly VicunaChatClientOptions _options;
    private readonly ChatClientMetadata _metadata;
    private readonly ILogger _logger;
    private readonly OutputConstraintCache _forms = new();
    private volatile bool _disposed;
    private int _ignoredTools;

    /// <summary>Makes a client of an engine, with the defaults and without a logger.</summary>
    /// <param name="engine">The engine. It is not disposed with the client, and others may use it too.</param>
    public VicunaChatClient(InferenceEngine engine)
        : this(engine, null, null)
    {
    }

    /// <summary>Makes a client of an engine.</summary>
    /// <param name="engine">The engine. It is not disposed with the client, and others may use it too.</param>
    /// <param name="options">Options; null for the defaults.</param>
    /// <param name="loggerFactory">Makes the logger; null for none.</param>
    /// <exception cref="ArgumentException">An option is wrong; the message names it.</exception>
    public VicunaChatClient(InferenceEngine engine, VicunaChatClientOptions? options, ILoggerFactory? loggerFactory)
        : this(engine, ownsEngine: false, null, options, loggerFactory)
    {
    }

    /// <summary>Makes a client of a model, with an engine of its own, the defaults and without a logger.</summary>
    /// <param name="model">The model. It is not disposed with the client, and must be disposed after it.</param>
    /// <exception cref="ObjectDisposedException">The model has been disposed.</exception>
    public VicunaChatClient(LanguageModel model)
        : this(model, null, null, null)
    {
    }

    /// <summary>Makes a client of a model, with an engine of its own.</summary>
    /// <param name="model">The model. It is not disposed with the client, and must be disposed after it.</param>
    /// <param name="engineOptions">Limits of the engine, which is disposed with the client; null for the defaults.</param>
    /// <param name="options">Options; null for the defaults.</param>
    /// <param name="loggerFactory">Makes the logger; null for none.</param>
    /// <exception cref="ArgumentException">An option is wrong; the message names it.</exception>
    /// <exception cref="ObjectDisposedException">The model has been disposed.</exception>
    public VicunaChatClient(LanguageModel model, EngineOptions? engineOptions, VicunaChatClientOptions? options, ILoggerFactory? loggerFactory)
        : this(EngineOf(model, engineOptions, options), ownsEngine: true, null, options, loggerFactory)
    {
    }

    private VicunaChatClient(
        InferenceEngine engine, bool ownsEngine, LanguageModel? ownModel, VicunaChatClientOptions? options, ILoggerFactory? loggerFactory)
    {
        ArgumentNullException.ThrowIfNull(engine);
        Check(options);
        _engine = engine;
        _ownEngine = ownsEngine ? engine : null;
        _ownModel = ownModel;
        _options = options ?? new VicunaChatClientOptions();
        _metadata = new ChatClientMetadata(ModelNames.Provider, defaultModelId: ModelNames.Of(engine.Model, _options.ModelId));
        _logger = loggerFactory?.CreateLogger(typeof(VicunaChatClient).FullName!) ?? NullLogger.Instance;
    }

    /// <summary>Loads a model on a thread of its own and makes a client of it. Model and engine are disposed with the client.</summary>
    /// <param name="path">A folder as downloaded from the model hub or a .gguf file.</param>
    /// <param name="loadOptions">How to load; null for the defaults.</param>
    /// <param name="engineOptions">Limits of the engine; null for the defaults.</param>
    /// <param name="options">Options; null for the defaults.</param>
    /// <param name="loggerFactory">Makes the logger; null for none.</param>
    /// <param name="cancellationToken">Stops loading.</param>
    /// <returns>The client; the caller disposes it.</returns>
    /// <exception cref="FileNotFoundException">There is nothing at the path.</exception>
    /// <exception cref="ModelFormatException">The checkpoint is damaged or not supported.</exception>
    /// <exception cref="ArgumentException">An option is wrong; the message names it.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static async Task<VicunaChatClient> LoadAsync(
        string path,
        LoadOptions? loadOptions = null,
        EngineOptions? engineOptions = null,
        VicunaChatClientOptions? options = null,
        ILoggerFactory? loggerFactory = null,
        CancellationToken cancellationToken = default)
    {
        Check(options);
        LanguageModel model = await LanguageModel.LoadAsync(path, loadOptions, cancellationToken).ConfigureAwait(false);
        try
        {
            return new VicunaChatClient(new InferenceEngine(model, engineOptions), ownsEngine: true, model, options, loggerFactory);
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <summary>Answers a conversation. The response is what the updates of <see cref="GetStreamingResponseAsync"/> come to.</summary>
    /// <param name="messages">The conversation; see the class's remarks.</param>
    /// <param name="options">How to answer; null for the defaults.</param>
    /// <param name="cancellationToken">Cancels the request, in the queue, in its prompt and between its tokens.</param>
    /// <returns>The response. Errors are those of <see cref="GetStreamingResponseAsync"/>.</returns>
    public async Task<ChatResponse> GetResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default)
    {
        List<ChatResponseUpdate> updates = [];
        await foreach (ChatResponseUpdate update in GetStreamingResponseAsync(messages, options, cancellationToken).ConfigureAwait(false))
        {
            updates.Add(update);
        }

        ChatResponse response = updates.ToChatResponse();
        response.RawRepresentation = (updates[^1].RawRepresentation as GenerationChunk)?.Result;
        return response;
    }

    /// <summary>Answers a conversation, piece by piece. Leaving the loop early cancels the request.</summary>
    /// <param name="messages">The conversation; see the class's remarks.</param>
    /// <param name="options">How to answer; null for the defaults.</param>
    /// <param name="cancellationToken">Cancels the request, in the queue, in its prompt and between its tokens.</param>
    /// <returns>The updates.</returns>
    /// <exception cref="ArgumentException">The conversation or an option is wrong, or the request asks for another model; the message names it.</exception>
    /// <exception cref="NotSupportedException">
    /// The conversation has contents other than text, or the request has a conversation's id, a continuation token, an unknown format, or requires a call of
    /// a tool without <see cref="VicunaChatClientOptions.EnablePromptTools"/>; the message names it.
    /// </exception>
    /// <exception cref="ContextLengthExceededException">The conversation does not fit the context.</exception>
    /// <exception cref="EngineOverloadedException">The queue is full, the request waited too long for its turn, or the engine is ending.</exception>
    /// <exception cref="ModelFormatException">The model has no tokenizer, or no known template.</exception>
    /// <exception cref="TimeoutException">The request's time limit came before its first token.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">The client or its engine has been disposed.</exception>
    public IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(messages);
        ObjectDisposedException.ThrowIf(_disposed, this);
        // Now and not with the first piece: until then the caller may have changed them.
        return AnswerAsync(Read(messages, options), cancellationToken);
    }

    /// <inheritdoc/>
    public object? GetService(Type serviceType, object? serviceKey = null)
    {
        ArgumentNullException.ThrowIfNull(serviceType);
        if (serviceKey is not null)
        {
            return null;
        }

        object?[] services = [this, _metadata, _engine, _engine.Model, _engine.Model.HasTokenizer ? _engine.Model.Tokenizer : null];
        return Array.Find(services, serviceType.IsInstanceOfType);
    }

    /// <summary>
    /// Disposes what the client owns: nothing, the engine, or engine and model, depending on how it was made. Requests under way on an engine of its own fail.
    /// </summary>
    public void Dispose()
    {
        _disposed = true;
        _ownEngine?.Dispose();
        _ownModel?.Dispose();
    }

    /// <summary>As <see cref="Dispose"/>, without blocking the caller while the engine's pass under way comes to its end.</summary>
    /// <returns>The task.</returns>
    public async ValueTask DisposeAsync()
    {
        _disposed = true;
        if (_ownEngine is not null)
        {
            await _ownEngine.DisposeAsync().ConfigureAwait(false);
        }

        _ownModel?.Dispose();
    }

    private static InferenceEngine EngineOf(LanguageModel model, EngineOptions? engineOptions, VicunaChatClientOptions? options)
    {
        // An engine that nobody would dispose is not begun.
        Check(options);
        return new InferenceEngine(model, engineOptions);
    }

    private static void Check(VicunaChatClientOptions? options)
    {
        if (options?.DefaultMaxOutputTokens is < 1)
        {
            throw new ArgumentOutOfRangeException(
                nameof(options), options.DefaultMaxOutputTokens, $"DefaultMaxOutputTokens: expected at least 1, found {options.DefaultMaxOutputTokens}.");
        }

        if (options?.ModelId is { Length: 0 })
        {
            throw new ArgumentException("ModelId: expected a name, found an empty one.", nameof(options));
        }
    }

    private Question Read(IEnumerable<ChatMessage> messages, ChatOptions? options)
    {
        ModelNames.Check(options?.ModelId, _metadata.DefaultModelId!);
        if (options?.ContinuationToken is not null)
        {
            throw new NotSupportedException("ContinuationToken: expected none, found one; this client gives none out.");
        }

        if (options?.ConversationId is { } id)
        {
            throw new NotSupportedException(
                $"ConversationId: expected none, found '{id}'; this client keeps no conversations. Send the whole history: "
                + "what it has in common with earlier requests is not computed again.");
        }

        PromptTools? tools = ReadTools(options);
        GenerationOptions generation = OptionsReader.ReadGeneration(
            options, this, _engine.Model.PromptFormatter.StopStrings, _options.DefaultMaxOutputTokens ?? _engine.ContextLength);
        if (tools is not null && generation.Constraint is not null)
        {
            throw new NotSupportedException("Constraint: expected none, found one; with tools in the prompt the answer has a form of its own.");
        }

        ConversationBuilder conversation = new(new MessageRenderer(_options.EnablePromptTools, tools is not null));
        return new Question(
            Prompt.FromMessages(conversation.Build(messages, options?.Instructions, tools?.Instructions)), generation, OptionsReader.ReadTreatment(options))
        {
            HasTools = tools is not null,
            Form = tools is not null ? () => _forms.JsonSchema(tools.Schema)
                : generation.Constraint is null ? OptionsReader.ReadForm(options?.ResponseFormat, _forms)
                : null,
        };
    }

    private PromptTools? ReadTools(ChatOptions? options)
    {
        if (!ToolReader.AreAsked(options))
        {
            return null;
        }

        if (_options.EnablePromptTools)
        {
            return ToolReader.Read(options!);
        }

        if (options!.ToolMode is RequiredChatToolMode)
        {
            throw new NotSupportedException(
                "ToolMode: expected auto or none, found one that requires a call; the model's template has no form for tools, "
                + $"and {nameof(VicunaChatClientOptions.EnablePromptTools)} is off.");
        }

        if (Interlocked.Exchange(ref _ignoredTools, 1) == 0)
        {
            LogIgnoredTools(options.Tools!.Count);
        }

        return null;
    }

    private async IAsyncEnumerable<ChatResponseUpdate> AnswerAsync(Question question, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        GenerationOptions generation = question.Generation;
        if (question.Form is { } form)
        {
            cancellationToken.ThrowIfCancellationRequested();
            // A schema is compiled: not on the caller's thread, which may be a user interface's.
            await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
            generation = generation with { Constraint = form() };
        }

        AnswerWriter writer = new(_metadata.DefaultModelId!, question.HasTools ? new PromptToolReader() : null);
        IAsyncEnumerable<GenerationChunk> pieces = _engine.StreamAsync(question.Prompt, generation, question.Treatment, cancellationToken);
        await foreach (GenerationChunk piece in pieces.ConfigureAwait(false))
        {
            // What was generated before a cancellation is not handed out after it.
            cancellationToken.ThrowIfCancellationRequested();
            if (writer.Write(piece) is { } update)
            {
                yield return update;
            }
        }
    }

    [LoggerMessage(
        1,
        LogLevel.Warning,
        "A request offers {Count} tools, for which the model's template has no form: it is answered without them, as are others from now on. "
        + "EnablePromptTools describes tools in the prompt.")]
    private partial void LogIgnoredTools(int count);
}
