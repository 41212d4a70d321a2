using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;

namespace Vicuna.Managed.AspNetCore.Hosting;

/// <summary>
/// Keys of which a request needs one. Only their hashes are kept, and every comparison takes the same time whatever the key; of a key itself no more than
/// its last four characters is ever shown.
/// </summary>
internal sealed class ApiKeys
{
    private const int Shown = 4;
    private const int LeastToShow = 12;
    private const int MaxFileBytes = 1 << 20;

    private readonly List<byte[]> _hashes = [];
    private readonly List<string> _endings = [];

    private ApiKeys()
    {
    }

    /// <summary>How many there are; none needs no key.</summary>
    public int Count => _hashes.Count;

    /// <summary>The keys' last characters, for the log.</summary>
    public string Endings => string.Join(", ", _endings);

    /// <summary>Takes the keys of the options and of their file.</summary>
    /// <exception cref="InvalidOperationException">A key is empty or has characters that no header can have; or the file has none or is too long.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static ApiKeys Of(VicunaServerOptions options)
    {
        ApiKeys keys = new();
        foreach (string key in options.ApiKeys)
        {
            keys.Add(key);
        }

        if (options.ApiKeyFile is { } path)
        {
            if (new FileInfo(path).Length > MaxFileBytes)
            {
                throw new InvalidOperationException($"{path}: expected a file of keys of at most {MaxFileBytes} bytes.");
            }

            int before = keys.Count;
            foreach (string line in File.ReadLines(path).Select(line => line.Trim()).Where(line => line.Length > 0 && line[0] != '#'))
            {
                keys.Add(line);
            }

            if (keys.Count == before)
            {
                // Whoever names a file of keys wants requests to need one.
                throw new InvalidOperationException($"{path}: expected at least one key, found none.");
            }
        }

        return keys;
    }

    /// <summary>Whether a request may pass.</summary>
    public bool Allow(HttpRequest request)
    {
        if (Count == 0)
        {
            return true;
        }

        const string Scheme = "Bearer ";
        bool allowed = false;
        foreach (string? value in request.Headers.Authorization)
        {
            allowed |= value is not null && value.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase) && Knows(value.AsSpan(Scheme.Length).Trim());
        }

        foreach (string? value in request.Headers["X-Api-Key"])
        {
            allowed |= value is not null && Knows(value.AsSpan().Trim());
        }

        return allowed;
    }

    private bool Knows(ReadOnlySpan<char> key)
    {
        byte[] hash = Hash(key);
        bool known = false;
        foreach (byte[] one in _hashes)
        {
            known |= CryptographicOperations.FixedTimeEquals(one, hash);
        }

        return known;
    }

    private void Add(string? key)
    {
        if (string.IsNullOrWhiteSpace(key) || key != key.Trim() || key.AsSpan().ContainsAnyExceptInRange(' ', '~'))
        {
            throw new InvalidOperationException("An API key: expected printable ASCII characters without spaces around them, found another one, or none.");
        }

        _hashes.Add(Hash(key));
        _endings.Add(key.Length >= LeastToShow ? $"...{key[^Shown..]}" : "...");
    }

    private static byte[] Hash(ReadOnlySpan<char> key)
    {
        byte[] bytes = new byte[Encoding.UTF8.GetByteCount(key)];
        Encoding.UTF8.GetBytes(key, bytes);
        return SHA256.HashData(bytes);
    }
}
