using Vicuna.Managed.Weights.Gguf;

namespace Vicuna.Managed.Compression.Conversion;

/// <summary>Metadata of a new GGUF file after that of another.</summary>
internal static class GgufMetadataEdit
{
    /// <summary>Every pair of the other file, in its order, some of them with other numbers; numbers for keys that it lacks come last.</summary>
    /// <param name="metadata">The other file's.</param>
    /// <param name="changes">Keys and their numbers.</param>
    /// <exception cref="ModelFormatException">A value is too large to copy.</exception>
    public static GgufPairs With(GgufMetadata metadata, params (string Key, uint Value)[] changes)
    {
        GgufPairs pairs = new();
        foreach (string key in metadata.Keys)
        {
            metadata.TryGetValue(key, out GgufValue value);
            int change = Array.FindIndex(changes, item => item.Key == key);
            if (change < 0)
            {
                pairs.Add(key, value);
            }
            else
            {
                pairs.Add(key, changes[change].Value);
            }
        }

        foreach ((string key, uint value) in changes.Where(item => !metadata.TryGetValue(item.Key, out _)))
        {
            pairs.Add(key, value);
        }

        return pairs;
    }
}
