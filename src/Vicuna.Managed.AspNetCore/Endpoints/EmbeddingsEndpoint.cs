using System.Buffers.Binary;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Vicuna.Managed.AspNetCore.Hosting;
using Vicuna.Managed.AspNetCore.Protocol;

namespace Vicuna.Managed.AspNetCore.Endpoints;

/// <summary><c>POST /v1/embeddings</c>.</summary>
internal static class EmbeddingsEndpoint
{
    // Texts of one request that are in the engine together: one request must not fill the queue.
    private const int MaxTogether = 4;

    /// <summary>Answers a request.</summary>
    public static async Task HandleAsync(Exchange exchange)
    {
        (List<Prompt> inputs, bool encoded, RequestOptions treatment) = await ReadAsync(exchange).ConfigureAwait(false);
        List<EmbeddingResult> results = await EmbedAsync(exchange, inputs, treatment).ConfigureAwait(false);
        exchange.PromptTokens = results.Sum(result => result.PromptTokens);
        await JsonResponse.WriteAsync(
            exchange.Http.Response, StatusCodes.Status200OK, json => Write(json, exchange, results, encoded), exchange.Stop).ConfigureAwait(false);
    }

    // By itself, so that the body's memory is free while the vectors are being computed.
    private static async Task<(List<Prompt> Inputs, bool Encoded, RequestOptions Treatment)> ReadAsync(Exchange exchange)
    {
        using JsonDocument document = await exchange.ReadBodyAsync().ConfigureAwait(false);
        Fields body = Fields.Of(document.RootElement, string.Empty);
        AnswerRequestReader.CheckModel(body, exchange.Served);
        List<Prompt> inputs = PromptReader.Read(body, "input", exchange.Served.Model.Config.VocabSize, exchange.Options.MaxEmbeddingInputs);
        if (body.Has("dimensions", out _))
        {
            throw Errors.Unsupported("dimensions", $"dimensions: expected none; the model's vectors have {exchange.Served.Model.Config.HiddenSize}, and cannot be cut.");
        }

        bool encoded = body.String("encoding_format") switch
        {
            null or "float" => false,
            "base64" => true,
            _ => throw Errors.Invalid("encoding_format", "encoding_format: expected float or base64, found another."),
        };
        return (inputs, encoded, AnswerRequestReader.ReadTreatment(body, exchange.Options, "embeddings"));
    }

    private static async Task<List<EmbeddingResult>> EmbedAsync(Exchange exchange, List<Prompt> inputs, RequestOptions treatment)
    {
        int together = Math.Min(MaxTogether, exchange.Served.Engine.Options.MaxConcurrentRequests);
        List<EmbeddingResult> results = new(inputs.Count);
        foreach (Prompt[] some in inputs.Chunk(together))
        {
            using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(exchange.Stop);
            int before = results.Count;
            Task<EmbeddingResult>[] tasks = [.. some.Select((input, index) => EmbedAsync(exchange, input, treatment, isFirst: before + index == 0, stop.Token))];
            try
            {
                foreach (Task<EmbeddingResult> task in tasks)
                {
                    results.Add(await task.ConfigureAwait(false));
                }
            }
            catch (ArgumentException exception)
            {
                throw Errors.Invalid($"input[{results.Count}]", $"input[{results.Count}]: {Text.OneLine(exception)}");
            }
            finally
            {
                // Where one has failed, the others are for nothing.
                await stop.CancelAsync().ConfigureAwait(false);
                await ((Task)Task.WhenAll(tasks)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }

        return results;
    }

    // Whether there is room for the request is decided with its first text. The others wait for theirs: what has been computed is not thrown away.
    private static async Task<EmbeddingResult> EmbedAsync(
        Exchange exchange, Prompt input, RequestOptions treatment, bool isFirst, CancellationToken cancellationToken)
    {
        while (true)
        {
            RequestOptions left = exchange.WithTimeLeft(treatment);
            TimeSpan wait;
            try
            {
                return await exchange.Served.Engine.EmbedAsync(input, left, cancellationToken).ConfigureAwait(false);
            }
            catch (EngineOverloadedException full) when (full.Reason == OverloadReason.QueueFull && !isFirst)
            {
                wait = left.TimeLimit < full.RetryAfter ? left.TimeLimit.Value : full.RetryAfter;
            }

            await Task.Delay(wait, cancellationToken).ConfigureAwait(false);
        }
    }

    private static void Write(Utf8JsonWriter json, Exchange exchange, List<EmbeddingResult> results, bool encoded)
    {
        json.WriteString("object", "list");
        json.WriteStartArray("data");
        for (int i = 0; i < results.Count; i++)
        {
            json.WriteStartObject();
            json.WriteString("object", "embedding");
            json.WriteNumber("index", i);
            if (encoded)
            {
                json.WriteBase64String("embedding", LittleEndian(results[i].Vector));
            }
            else
            {
                json.WriteStartArray("embedding");
                foreach (float value in results[i].Vector)
                {
                    json.WriteNumberValue(value);
                }

                json.WriteEndArray();
            }

            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteString("model", exchange.Served.Id);
        json.WriteStartObject("usage");
        json.WriteNumber("prompt_tokens", exchange.PromptTokens);
        json.WriteNumber("total_tokens", exchange.PromptTokens);
        json.WriteEndObject();
    }

    private static byte[] LittleEndian(IReadOnlyList<float> vector)
    {
        byte[] bytes = new byte[vector.Count * sizeof(float)];
        for (int i = 0; i < vector.Count; i++)
        {
            BinaryPrimitives.WriteSingleLittleEndian(bytes.AsSpan(i * sizeof(float)), vector[i]);
        }

        return bytes;
    }
}
