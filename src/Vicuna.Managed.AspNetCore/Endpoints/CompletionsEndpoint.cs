using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Vicuna.Managed.AspNetCore.Protocol;

namespace Vicuna.Managed.AspNetCore.Endpoints;

/// <summary><c>POST /v1/completions</c>.</summary>
internal static class CompletionsEndpoint
{
    private const string IdPrefix = "cmpl";
    private const string Type = "text_completion";

    /// <summary>Answers a request.</summary>
    public static async Task HandleAsync(Exchange exchange)
    {
        (AnswerRequest request, List<Prompt> prompts, string[] heads) = await ReadAsync(exchange).ConfigureAwait(false);
        AnswerSet answers = await AnswerSet.StartAsync(exchange, prompts, request).ConfigureAwait(false);
        await using (answers.ConfigureAwait(false))
        {
            if (request.Stream)
            {
                await StreamAsync(exchange, request, answers.Single, heads).ConfigureAwait(false);
                return;
            }

            IReadOnlyList<GenerationResult> results = await answers.CompleteAsync(exchange).ConfigureAwait(false);
            await JsonResponse.WriteAsync(
                exchange.Http.Response, StatusCodes.Status200OK, json => Write(json, exchange, request, results, heads), exchange.Stop).ConfigureAwait(false);
        }
    }

    // By itself, so that the body's memory is free while the answers are being generated.
    private static async Task<(AnswerRequest Request, List<Prompt> Prompts, string[] Heads)> ReadAsync(Exchange exchange)
    {
        using JsonDocument document = await exchange.ReadBodyAsync().ConfigureAwait(false);
        Fields body = Fields.Of(document.RootElement, string.Empty);
        AnswerRequestReader.CheckModel(body, exchange.Served);
        List<Prompt> prompts = PromptReader.Read(body, "prompt", exchange.Served.Model.Config.VocabSize, exchange.Options.MaxChoices);
        AnswerRequest request = AnswerRequestReader.Read(body, exchange.Served, exchange.Options, prompts.Count, isChat: false);
        if (body.String("suffix") is { Length: > 0 })
        {
            throw Errors.Unsupported("suffix", "suffix: expected none; it is not supported.");
        }

        bool echo = body.Flag("echo");
        if (echo && request.Options.LogProbabilities is not null)
        {
            throw Errors.Unsupported("echo", "echo: expected no logprobs with it; those of a prompt are not computed.");
        }

        return (request, prompts, echo ? [.. prompts.Select(prompt => TextOf(prompt, exchange.Served.Model))] : []);
    }

    /// <summary>Text of a prompt; ids that have no piece are no text.</summary>
    internal static string TextOf(Prompt prompt, LanguageModel model) =>
        prompt.Text ?? model.Tokenizer.Decode(prompt.Tokens!.Where(id => AnswerToken.HasPiece(model.Tokenizer, id)));

    private static void Write(Utf8JsonWriter json, Exchange exchange, AnswerRequest request, IReadOnlyList<GenerationResult> results, string[] heads)
    {
        AnswerFields.WriteHead(json, exchange, IdPrefix, Type);
        json.WriteStartArray("choices");
        for (int i = 0; i < results.Count; i++)
        {
            string text = heads.Length > 0 ? heads[i / request.Choices] + results[i].Text : results[i].Text;
            AnswerTokens tokens = new(exchange.Served.Model, isTurn: false);
            WriteChoice(json, exchange, i, text, tokens.Take(results[i].LogProbabilities, results[i].Text, results[i]), AnswerFields.FinishReasonOf(results[i]));
        }

        json.WriteEndArray();
        AnswerFields.WriteUsage(json, results, request.Choices);
    }

    private static void WriteChoice(
        Utf8JsonWriter json, Exchange exchange, int index, string text, IReadOnlyList<AnswerToken>? probabilities, string? finishReason)
    {
        json.WriteStartObject();
        json.WriteNumber("index", index);
        json.WriteString("text", text);
        LogProbabilityWriter.WriteClassic(json, exchange.Served.Model, probabilities);
        json.WriteString("finish_reason", finishReason);
        json.WriteEndObject();
    }

    private static async Task StreamAsync(Exchange exchange, AnswerRequest request, InferenceRequest answer, string[] heads)
    {
        EventStream events = exchange.BeginEvents();
        AnswerTokens tokens = new(exchange.Served.Model, isTurn: false);
        if (heads.Length > 0)
        {
            await SendAsync(heads[0]).ConfigureAwait(false);
        }

        GenerationResult? result = null;
        await foreach (GenerationChunk piece in PieceReader.ReadAsync(exchange, answer).ConfigureAwait(false))
        {
            result = piece.Result;
            IReadOnlyList<AnswerToken>? shown = tokens.Take(piece.LogProbabilities, piece.Text, piece.Result);
            if (piece.Text.Length > 0 || shown is { Count: > 0 })
            {
                await SendAsync(piece.Text, shown).ConfigureAwait(false);
            }
        }

        GenerationResult whole = result ?? throw new InvalidOperationException("An answer ended without a result.");
        await SendAsync(string.Empty, finishReason: AnswerFields.FinishReasonOf(whole)).ConfigureAwait(false);
        if (request.IncludeUsage)
        {
            await events.SendAsync(json =>
            {
                AnswerFields.WriteHead(json, exchange, IdPrefix, Type);
                json.WriteStartArray("choices");
                json.WriteEndArray();
                AnswerFields.WriteUsage(json, [whole], 1);
            }).ConfigureAwait(false);
        }

        await events.EndAsync().ConfigureAwait(false);

        Task SendAsync(string text, IReadOnlyList<AnswerToken>? probabilities = null, string? finishReason = null) => events.SendAsync(json =>
        {
            AnswerFields.WriteHead(json, exchange, IdPrefix, Type);
            json.WriteStartArray("choices");
            WriteChoice(json, exchange, 0, text, probabilities, finishReason);
            json.WriteEndArray();
        });
    }
}
