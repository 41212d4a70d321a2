using System.Diagnostics;
using System.Net.ServerSentEvents;
using System.Text;
using System.Text.Json;

namespace Vicuna.Managed.LoadTest;

/// <summary>Talks to the server: HTTP and server-sent events, nothing else. Disposing it closes all connections.</summary>
internal sealed class LoadClient : IDisposable
{
    // The end of a text in Llama's vocabulary.
    private const string EndOfText = "2";

    // A server that hangs must not hang the tool.
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(10);

    private readonly HttpClient _http;

    /// <summary>Makes a client.</summary>
    public LoadClient(Uri url) => _http = new HttpClient(new SocketsHttpHandler { MaxConnectionsPerServer = 4096 })
    {
        BaseAddress = url,
        Timeout = Timeout.InfiniteTimeSpan,
    };

    /// <summary>Streams an answer.</summary>
    /// <exception cref="InvalidDataException">The stream ended before the answer, or with an error.</exception>
    /// <exception cref="TimeoutException">The answer did not end within ten minutes.</exception>
    public async Task<Answer> AskAsync(Question question, CancellationToken cancellationToken)
    {
        using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        stop.CancelAfter(Patience);
        try
        {
            return await StreamAsync(question, stop.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new TimeoutException($"No end of an answer within {Patience.TotalMinutes} minutes.");
        }
    }

    /// <summary>Posts bytes as they are and returns the status.</summary>
    public async Task<int> PostAsync(string path, byte[] body, CancellationToken cancellationToken)
    {
        using ByteArrayContent content = Json(body);
        using HttpResponseMessage response = await _http.PostAsync(new Uri(path, UriKind.Relative), content, cancellationToken);
        await response.Content.ReadAsByteArrayAsync(cancellationToken);
        return (int)response.StatusCode;
    }

    /// <summary>Gets a status and a text.</summary>
    public async Task<(int Status, string Text)> GetAsync(string path, CancellationToken cancellationToken)
    {
        using HttpResponseMessage response = await _http.GetAsync(new Uri(path, UriKind.Relative), cancellationToken);
        return ((int)response.StatusCode, await response.Content.ReadAsStringAsync(cancellationToken));
    }

    /// <inheritdoc/>
    public void Dispose() => _http.Dispose();

    private async Task<Answer> StreamAsync(Question question, CancellationToken cancellationToken)
    {
        long start = Stopwatch.GetTimestamp();
        using HttpRequestMessage request = new(HttpMethod.Post, "/v1/chat/completions") { Content = Json(BodyOf(question)) };
        using HttpResponseMessage response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        if (!response.IsSuccessStatusCode)
        {
            return new Answer((int)response.StatusCode, start, []) { RetryAfter = response.Headers.RetryAfter?.Delta ?? TimeSpan.Zero };
        }

        StringBuilder text = new();
        List<long> pieces = [];
        Answer answer = new(200, start, pieces);
        using Stream stream = await response.Content.ReadAsStreamAsync(cancellationToken);
        await foreach (SseItem<string> item in SseParser.Create(stream).EnumerateAsync(cancellationToken))
        {
            if (item.Data == "[DONE]")
            {
                return answer with { Text = text.ToString(), End = Stopwatch.GetTimestamp() };
            }

            using JsonDocument json = JsonDocument.Parse(item.Data);
            if (json.RootElement.TryGetProperty("error", out JsonElement error))
            {
                throw new InvalidDataException($"An answer ended with an error: {error.GetRawText()}");
            }

            if (json.RootElement.TryGetProperty("usage", out JsonElement usage) && usage.ValueKind == JsonValueKind.Object)
            {
                answer = answer with
                {
                    PromptTokens = usage.GetProperty("prompt_tokens").GetInt32(),
                    Tokens = usage.GetProperty("completion_tokens").GetInt32(),
                };
            }

            foreach (JsonElement choice in json.RootElement.GetProperty("choices").EnumerateArray())
            {
                if (choice.GetProperty("delta").TryGetProperty("content", out JsonElement content) && content.GetString() is { Length: > 0 } piece)
                {
                    long now = Stopwatch.GetTimestamp();
                    text.Append(piece);
                    pieces.Add(now);
                    question.Arrived?.Invoke(now);
                    if (pieces.Count == question.LeaveAfter)
                    {
                        // What is not read to its end is closed.
                        return answer with { Status = 0 };
                    }
                }
            }
        }

        throw new InvalidDataException("A stream ended without [DONE].");
    }

    private static ByteArrayContent Json(byte[] body)
    {
        ByteArrayContent content = new(body);
        content.Headers.ContentType = new("application/json");
        return content;
    }

    private static byte[] BodyOf(Question question)
    {
        using MemoryStream buffer = new();
        using (Utf8JsonWriter writer = new(buffer))
        {
            writer.WriteStartObject();
            writer.WriteNumber("max_completion_tokens", question.MaxTokens);
            writer.WriteNumber("temperature", 0);
            if (!question.MayEnd)
            {
                writer.WriteStartObject("logit_bias");
                writer.WriteNumber(EndOfText, -100);
                writer.WriteEndObject();
            }

            writer.WriteBoolean("stream", true);
            writer.WriteStartObject("stream_options");
            writer.WriteBoolean("include_usage", true);
            writer.WriteEndObject();
            writer.WriteStartArray("messages");
            writer.WriteStartObject();
            writer.WriteString("role", "user");
            writer.WriteString("content", question.Text);
            writer.WriteEndObject();
            writer.WriteEndArray();
            writer.WriteEndObject();
        }

        return buffer.ToArray();
    }
}
