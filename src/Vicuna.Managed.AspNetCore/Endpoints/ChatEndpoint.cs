using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Vicuna.Managed.AspNetCore.Protocol;
using Vicuna.Managed.Chat;

namespace Vicuna.Managed.AspNetCore.Endpoints;

/// <summary><c>POST /v1/chat/completions</c>.</summary>
internal static class ChatEndpoint
{
    private const string IdPrefix = "chatcmpl";

    /// <summary>Answers a request.</summary>
    public static async Task HandleAsync(Exchange exchange)
    {
        (AnswerRequest request, Prompt prompt) = await ReadAsync(exchange).ConfigureAwait(false);
        AnswerSet answers = await AnswerSet.StartAsync(exchange, [prompt], request).ConfigureAwait(false);
        await using (answers.ConfigureAwait(false))
        {
            if (request.Stream)
            {
                await StreamAsync(exchange, request, answers.Single).ConfigureAwait(false);
                return;
            }

            IReadOnlyList<GenerationResult> results = await answers.CompleteAsync(exchange).ConfigureAwait(false);
            await JsonResponse.WriteAsync(
                exchange.Http.Response, StatusCodes.Status200OK, json => Write(json, exchange, request, results), exchange.Stop).ConfigureAwait(false);
        }
    }

    // By itself, so that the body's memory is free while the answer is being generated.
    private static async Task<(AnswerRequest Request, Prompt Prompt)> ReadAsync(Exchange exchange)
    {
        using JsonDocument document = await exchange.ReadBodyAsync().ConfigureAwait(false);
        Fields body = Fields.Of(document.RootElement, string.Empty);
        AnswerRequestReader.CheckModel(body, exchange.Served);
        AnswerRequest request = AnswerRequestReader.Read(body, exchange.Served, exchange.Options, prompts: 1, isChat: true);
        return (request, Prompt.FromMessages(ConversationBuilder.Build(MessageReader.Read(body), request.Tools, exchange.Options.EnablePromptTools)));
    }

    private static void Write(Utf8JsonWriter json, Exchange exchange, AnswerRequest request, IReadOnlyList<GenerationResult> results)
    {
        AnswerFields.WriteHead(json, exchange, IdPrefix, "chat.completion");
        json.WriteStartArray("choices");
        for (int i = 0; i < results.Count; i++)
        {
            ChatText text = new(request);
            string words = text.Read(results[i].Text);
            PromptToolCall? call = text.GetCall();
            json.WriteStartObject();
            json.WriteNumber("index", i);
            json.WriteStartObject("message");
            json.WriteString("role", "assistant");
            json.WriteString("content", call is null ? words : null);
            json.WriteNull("refusal");
            if (call is not null)
            {
                WriteCall(json, call, isDelta: false);
            }

            json.WriteEndObject();
            AnswerTokens tokens = new(exchange.Served.Model, isTurn: true);
            LogProbabilityWriter.WriteChat(json, exchange.Served.Model, tokens.Take(results[i].LogProbabilities, results[i].Text, results[i]));
            json.WriteString("finish_reason", FinishReasonOf(results[i], call));
            json.WriteEndObject();
        }

        json.WriteEndArray();
        AnswerFields.WriteUsage(json, results, results.Count);
    }

    private static async Task StreamAsync(Exchange exchange, AnswerRequest request, InferenceRequest answer)
    {
        EventStream events = exchange.BeginEvents();
        await SendAsync(delta =>
        {
            delta.WriteString("role", "assistant");
            delta.WriteString("content", string.Empty);
        }).ConfigureAwait(false);
        ChatText text = new(request);
        AnswerTokens tokens = new(exchange.Served.Model, isTurn: true);
        GenerationResult? result = null;
        await foreach (GenerationChunk piece in PieceReader.ReadAsync(exchange, answer).ConfigureAwait(false))
        {
            result = piece.Result;
            string words = text.Read(piece.Text);
            IReadOnlyList<AnswerToken>? shown = tokens.Take(piece.LogProbabilities, piece.Text, piece.Result);
            if (words.Length > 0 || shown is { Count: > 0 })
            {
                await SendAsync(delta => delta.WriteString("content", words), shown).ConfigureAwait(false);
            }
        }

        GenerationResult whole = result ?? throw new InvalidOperationException("An answer ended without a result.");
        PromptToolCall? call = text.GetCall();
        if (call is not null)
        {
            await SendAsync(delta => WriteCall(delta, call, isDelta: true)).ConfigureAwait(false);
        }

        await SendAsync(_ => { }, finishReason: FinishReasonOf(whole, call)).ConfigureAwait(false);
        if (request.IncludeUsage)
        {
            await events.SendAsync(json =>
            {
                AnswerFields.WriteHead(json, exchange, IdPrefix, "chat.completion.chunk");
                json.WriteStartArray("choices");
                json.WriteEndArray();
                AnswerFields.WriteUsage(json, [whole], 1);
            }).ConfigureAwait(false);
        }

        await events.EndAsync().ConfigureAwait(false);

        Task SendAsync(
            Action<Utf8JsonWriter> delta, IReadOnlyList<AnswerToken>? probabilities = null, string? finishReason = null) => events.SendAsync(json =>
        {
            AnswerFields.WriteHead(json, exchange, IdPrefix, "chat.completion.chunk");
            json.WriteStartArray("choices");
            json.WriteStartObject();
            json.WriteNumber("index", 0);
            json.WriteStartObject("delta");
            delta(json);
            json.WriteEndObject();
            LogProbabilityWriter.WriteChat(json, exchange.Served.Model, probabilities);
            json.WriteString("finish_reason", finishReason);
            json.WriteEndObject();
            json.WriteEndArray();
        });
    }

    private static void WriteCall(Utf8JsonWriter json, PromptToolCall call, bool isDelta)
    {
        json.WriteStartArray("tool_calls");
        json.WriteStartObject();
        if (isDelta)
        {
            json.WriteNumber("index", 0);
        }

        json.WriteString("id", $"call_{Guid.NewGuid():N}");
        json.WriteString("type", "function");
        json.WriteStartObject("function");
        json.WriteString("name", call.Name);
        json.WriteString("arguments", call.Arguments);
        json.WriteEndObject();
        json.WriteEndObject();
        json.WriteEndArray();
    }

    private static string FinishReasonOf(GenerationResult result, PromptToolCall? call) => call is null ? AnswerFields.FinishReasonOf(result) : "tool_calls";

    // What the caller gets of the model's text: all of it, or, where there are tools, the words in it.
    private sealed class ChatText(AnswerRequest request)
    {
        private readonly PromptToolReader? _reader = request.Tools is null ? null : new PromptToolReader();

        public string Read(string piece) => _reader is null ? piece : _reader.Read(piece);

        public PromptToolCall? GetCall() => _reader?.GetCall();
    }
}
