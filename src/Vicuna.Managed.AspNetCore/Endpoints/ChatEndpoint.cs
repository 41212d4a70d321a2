using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Vicuna.Managed.AspNetCore.Protocol;

namespace Vicuna.Managed.AspNetCore.Endpoints;

/// <summary><c>POST /v1/chat/completions</c>.</summary>
internal static class ChatEndpoint
{
    private const string IdPrefix = "chatcmpl";

    /// <summary>Answers a request.</summary>
    public static async Task HandleAsync(Exchange exchange)
    {
        using JsonDocument document = await exchange.ReadBodyAsync().ConfigureAwait(false);
        Fields body = Fields.Of(document.RootElement, string.Empty);
        AnswerRequestReader.CheckModel(body, exchange.Served);
        AnswerRequest request = AnswerRequestReader.Read(body, exchange.Served, exchange.Options, prompts: 1, isChat: true);
        Prompt prompt = Prompt.FromMessages(ConversationBuilder.Build(MessageReader.Read(body)));
        AnswerSet answers = await AnswerSet.StartAsync(exchange, [prompt], request).ConfigureAwait(false);
        await using (answers.ConfigureAwait(false))
        {
            if (request.Stream)
            {
                await StreamAsync(exchange, request, answers.Single).ConfigureAwait(false);
                return;
            }

            IReadOnlyList<GenerationResult> results = await answers.CompleteAsync(exchange).ConfigureAwait(false);
            await JsonResponse.WriteAsync(exchange.Http.Response, StatusCodes.Status200OK, json => Write(json, exchange, results), exchange.Stop).ConfigureAwait(false);
        }
    }

    private static void Write(Utf8JsonWriter json, Exchange exchange, IReadOnlyList<GenerationResult> results)
    {
        AnswerFields.WriteHead(json, exchange, IdPrefix, "chat.completion");
        json.WriteStartArray("choices");
        for (int i = 0; i < results.Count; i++)
        {
            json.WriteStartObject();
            json.WriteNumber("index", i);
            json.WriteStartObject("message");
            json.WriteString("role", "assistant");
            json.WriteString("content", results[i].Text);
            json.WriteNull("refusal");
            json.WriteEndObject();
            LogProbabilityWriter.WriteChat(json, exchange.Served.Model, results[i].LogProbabilities);
            json.WriteString("finish_reason", AnswerFields.FinishReasonOf(results[i]));
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
        GenerationResult? result = null;
        await foreach (GenerationChunk piece in PieceReader.ReadAsync(exchange, answer).ConfigureAwait(false))
        {
            result = piece.Result;
            if (piece.Text.Length > 0 || piece.LogProbabilities is { Count: > 0 })
            {
                await SendAsync(delta => delta.WriteString("content", piece.Text), piece.LogProbabilities).ConfigureAwait(false);
            }
        }

        GenerationResult whole = result ?? throw new InvalidOperationException("An answer ended without a result.");
        await SendAsync(_ => { }, finishReason: AnswerFields.FinishReasonOf(whole)).ConfigureAwait(false);
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

        Task SendAsync(Action<Utf8JsonWriter> delta, IReadOnlyList<TokenLogProbability>? probabilities = null, string? finishReason = null) => events.SendAsync(json =>
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
}
