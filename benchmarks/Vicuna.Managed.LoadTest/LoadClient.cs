using System.Diagnostics;
using System.Net;
using System.Net.ServerSentEvents;
using System.Text;
using System.Text.Json;

namespace Vicuna.Managed.LoadTest;

/// <summary>Talks to the server: HTTP and server-sent events, nothing else.</summary>
internal sealed class LoadClient : IDisposable
{
    private readonly HttpClient _http;

    /// <summary>Makes a client.</summary>
    public LoadClient(Uri url) => _http = new HttpClient(new SocketsHttpHandler { MaxConnectionsPerServer = 4096, PooledConnectionLifetime = TimeSpan.FromMinutes(2) })
    {
        BaseAddress = url,
        Timeout = Timeout.InfiniteTimeSpan,
    };

    /// <summary>Streams an answer.</summary>
    /// <param name="question">The user's message.</param>
    /// <param name="maxTokens">Longest answer.</param>
    /// <param name="leaveAfter">Pieces after which the connection is dropped; null = none.</param>
    /// <param name="cancellationToken">Drops the connection.</param>
    public async Task<Answer> AskAsync(string question, int maxTokens, int? leaveAfter, CancellationToken cancellationToken)
    {
        long start = Stopwatch.GetTimestamp();
        using HttpRequestMessage request = new(HttpMethod.Post, "/v1/chat/completions") { Content = Json(writer => WriteChat(writer, question, maxTokens)) };
        using HttpResponseMessage response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        if (response.StatusCode != HttpStatusCode.OK)
        {
            return new Answer((int)response.StatusCode, "", 0, 0, TimeSpan.Zero, Stopwatch.GetElapsedTime(start), null);
        }

        StringBuilder text = new();
        TimeSpan first = TimeSpan.Zero;
        string? finish = null;
        int prompt = 0;
        int completion = 0;
        int pieces = 0;
        using Stream stream = await response.Content.ReadAsStreamAsync(cancellationToken);
        await foreach (SseItem<string> item in SseParser.Create(stream).EnumerateAsync(cancellationToken))
        {
            if (item.Data == "[DONE]")
            {
                return new Answer(200, text.ToString(), prompt, completion, first, Stopwatch.GetElapsedTime(start), finish);
            }

            using JsonDocument json = JsonDocument.Parse(item.Data);
            if (json.RootElement.TryGetProperty("usage", out JsonElement usage) && usage.ValueKind == JsonValueKind.Object)
            {
                prompt = usage.GetProperty("prompt_tokens").GetInt32();
                completion = usage.GetProperty("completion_tokens").GetInt32();
            }

            foreach (JsonElement choice in json.RootElement.GetProperty("choices").EnumerateArray())
            {
                if (choice.GetProperty("delta").TryGetProperty("content", out JsonElement content) && content.GetString() is { Length: > 0 } piece)
                {
                    first = first == TimeSpan.Zero ? Stopwatch.GetElapsedTime(start) : first;
                    text.Append(piece);
                    if (++pieces == leaveAfter)
                    {
                        return new Answer(0, "", 0, 0, first, Stopwatch.GetElapsedTime(start), null);
                    }
                }

                finish = choice.GetProperty("finish_reason").GetString() ?? finish;
            }
        }

        throw new InvalidDataException("The stream ended without [DONE].");
    }

    /// <summary>Posts bytes as they are.</summary>
    public async Task<int> PostAsync(string path, byte[] body, string type, CancellationToken cancellationToken)
    {
        using ByteArrayContent content = new(body);
        content.Headers.TryAddWithoutValidation("Content-Type", type);
        using HttpResponseMessage response = await _http.PostAsync(new Uri(path, UriKind.Relative), content, cancellationToken);
        await response.Content.ReadAsByteArrayAsync(cancellationToken);
        return (int)response.StatusCode;
    }

    /// <summary>Gets a text.</summary>
    public async Task<string> GetAsync(string path, CancellationToken cancellationToken) => await _http.GetStringAsync(new Uri(path, UriKind.Relative), cancellationToken);

    /// <inheritdoc/>
    public void Dispose() => _http.Dispose();

    private static ByteArrayContent Json(Action<Utf8JsonWriter> write)
    {
        using MemoryStream buffer = new();
        using (Utf8JsonWriter writer = new(buffer))
        {
            write(writer);
        }

        ByteArrayContent content = new(buffer.ToArray());
        content.Headers.ContentType = new("application/json");
        return content;
    }

    private static void WriteChat(Utf8JsonWriter writer, string question, int maxTokens)
    {
        writer.WriteStartObject();
        writer.WriteNumber("max_completion_tokens", maxTokens);
        writer.WriteNumber("temperature", 0);
        writer.WriteBoolean("stream", true);
        writer.WriteStartObject("stream_options");
        writer.WriteBoolean("include_usage", true);
        writer.WriteEndObject();
        writer.WriteStartArray("messages");
        writer.WriteStartObject();
        writer.WriteString("role", "user");
        writer.WriteString("content", question);
        writer.WriteEndObject();
        writer.WriteEndArray();
        writer.WriteEndObject();
    }
}
