using System.CommandLine;
using System.Net;
using Vicuna.Managed.AspNetCore;

namespace Vicuna.Managed.Cli;

/// <summary>Options of <c>serve</c>: where to listen, whom to let in, and the limits.</summary>
internal sealed class ServeOptions
{
    private const string KeyVariable = "VICUNA_API_KEY";
    private const string DefaultUrl = "http://127.0.0.1:8080";
    private const long Megabyte = 1 << 20;

    private readonly Option<string> _urls = new("--urls")
    {
        Description = "Where to listen: http urls with semicolons between them. Port 0 takes a free one.",
        HelpName = "URLS",
        DefaultValueFactory = _ => DefaultUrl,
    };

    private readonly Option<string[]> _keys = new("--api-key")
    {
        Description = $"A key of which requests need one; may be given several times. Others on the machine can see it: --api-key-file, or the variable {KeyVariable}, keep it hidden.",
        HelpName = "KEY",
    };

    private readonly Option<string?> _keyFile = new("--api-key-file") { Description = "A file with keys, one a line.", HelpName = "FILE" };

    private readonly Option<bool> _insecure = new("--insecure") { Description = "Serve other machines without a key." };

    private readonly Option<string?> _modelId = new("--model-id") { Description = "The model's name in the API. Default: the folder's or file's name.", HelpName = "NAME" };

    private readonly Option<int?> _slots = OptionsOf.Int("--slots", "Answers that are worked on at a time. Default: 8.", 1, 256);

    private readonly Option<int?> _queue = OptionsOf.Int("--queue", "Requests that may wait for their turn; further ones are refused. Default: twice --slots.", 0, 1_000_000);

    private readonly Option<double?> _queueTimeout = OptionsOf.Number("--queue-timeout", "Longest time that a request waits for its turn, in seconds. Default: none.", 0, 86_400, leastExcluded: true);

    private readonly Option<double?> _timeLimit = OptionsOf.Number("--time-limit", "Longest time of a request, in seconds. Default: none.", 0, 86_400, leastExcluded: true);

    private readonly Option<double?> _shutdown = OptionsOf.Number("--shutdown-timeout", "Time that requests under way get when the server ends, in seconds. Default: 30.", 0, 86_400);

    private readonly Option<int?> _context = OptionsOf.Int("--context", "Most tokens of a sequence. Default, and most: the model's.", 2, int.MaxValue);

    private readonly Option<int?> _kvMemory = OptionsOf.Int("--kv-memory", "Most memory for keys and values, in MiB. Default: what --slots need, at most a quarter of all.", 1, int.MaxValue);

    private readonly Option<int?> _maxTokens = OptionsOf.Int("--max-tokens", "Most tokens of an answer. Default: to the end of the context.", 1, int.MaxValue);

    private readonly Option<bool> _promptTools = new("--prompt-tools") { Description = "Describe tools in the prompt to a model that was not trained for them." };

    /// <summary>Adds the options to the verb.</summary>
    public ServeOptions(Command command)
    {
        Option[] options =
        [
            _urls, _keys, _keyFile, _insecure, _modelId, _slots, _queue, _queueTimeout, _timeLimit, _shutdown, _context, _kvMemory, _maxTokens, _promptTools,
        ];
        foreach (Option option in options)
        {
            command.Add(option);
        }
    }

    /// <summary>Most tokens of a sequence, or null.</summary>
    public int? ContextLength(ParseResult parsed) => parsed.GetValue(_context);

    /// <summary>Where to listen.</summary>
    /// <exception cref="WrongUsageException">One of them is no http url, or open to other machines without a key.</exception>
    public IReadOnlyList<string> Urls(ParseResult parsed)
    {
        string[] urls = parsed.GetValue(_urls)!.Split(';', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        if (urls.Length == 0)
        {
            throw new WrongUsageException($"--urls: expected urls like {DefaultUrl}, found none.");
        }

        bool open = Keys(parsed).Count == 0 && parsed.GetValue(_keyFile) is null && !parsed.GetValue(_insecure);
        foreach (string url in urls)
        {
            if (UriOf(url) is not { } uri || uri.Scheme != Uri.UriSchemeHttp || uri.AbsolutePath != "/" || uri.Query.Length > 0 || uri.UserInfo.Length > 0)
            {
                throw new WrongUsageException($"--urls: expected http urls like {DefaultUrl} (https is a proxy's task), found '{url}'.");
            }

            if (open && !IsLocal(uri))
            {
                throw new WrongUsageException(
                    $"--urls: {url} can be reached from other machines: expected --api-key, --api-key-file or {KeyVariable} with it, or --insecure to serve everybody.");
            }
        }

        return urls;
    }

    /// <summary>
    /// Hosts that requests may name; null for any. Where nobody needs a key because nobody else gets here, web pages do, by giving this machine's address a
    /// name of theirs: then only names that are the machine's own are taken.
    /// </summary>
    /// <exception cref="WrongUsageException">A url is wrong.</exception>
    public IReadOnlyList<string>? Hosts(ParseResult parsed)
    {
        Uri[] urls = [.. Urls(parsed).Select(UriOf).OfType<Uri>()];
        bool isOpen = Keys(parsed).Count == 0 && parsed.GetValue(_keyFile) is null && !parsed.GetValue(_insecure);
        return isOpen && urls.All(IsLocal) ? [.. urls.Select(url => url.Host).Concat(["localhost", "127.0.0.1", "[::1]"]).Distinct()] : null;
    }

    /// <summary>Sets what is served within which limits.</summary>
    public void Apply(ParseResult parsed, VicunaServerOptions options, string defaultId)
    {
        EngineOptions engine = new();
        options.EngineOptions = engine with
        {
            MaxConcurrentRequests = parsed.GetValue(_slots) ?? engine.MaxConcurrentRequests,
            MaxQueuedRequests = parsed.GetValue(_queue),
            QueueTimeout = Seconds(parsed, _queueTimeout),
            KeyValueMemoryBytes = parsed.GetValue(_kvMemory) * Megabyte,
        };
        options.ModelId = parsed.GetValue(_modelId) ?? defaultId;
        options.TimeLimit = Seconds(parsed, _timeLimit);
        options.ShutdownTimeout = Seconds(parsed, _shutdown) ?? options.ShutdownTimeout;
        options.MaxTokensLimit = parsed.GetValue(_maxTokens);
        options.EnablePromptTools = parsed.GetValue(_promptTools);
        options.ApiKeyFile = parsed.GetValue(_keyFile);
        foreach (string key in Keys(parsed))
        {
            options.ApiKeys.Add(key);
        }
    }

    // '*' and '+' stand for every address, and are no host of a Uri.
    private static Uri? UriOf(string url)
    {
        string numbers = url.Replace("//*", "//0.0.0.0", StringComparison.Ordinal).Replace("//+", "//0.0.0.0", StringComparison.Ordinal);
        return Uri.TryCreate(numbers, UriKind.Absolute, out Uri? uri) ? uri : null;
    }

    private static bool IsLocal(Uri url) =>
        url.Host == "localhost" || (IPAddress.TryParse(url.Host.Trim('[', ']'), out IPAddress? address) && IPAddress.IsLoopback(address));

    private List<string> Keys(ParseResult parsed) =>
        [.. parsed.GetValue(_keys) ?? [], .. Environment.GetEnvironmentVariable(KeyVariable) is { Length: > 0 } key ? new[] { key } : []];

    private static TimeSpan? Seconds(ParseResult parsed, Option<double?> option) =>
        parsed.GetValue(option) is { } seconds ? TimeSpan.FromSeconds(seconds) : null;
}
