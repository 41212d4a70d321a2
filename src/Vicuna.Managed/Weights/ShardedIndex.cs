using System.Text.Json;
using System.Text.Unicode;

namespace Vicuna.Managed.Weights;

/// <summary>
/// The index of a checkpoint in several files (<c>model.safetensors.index.json</c>, <c>pytorch_model.bin.index.json</c>), as Hugging Face's
/// libraries write it: <c>{"metadata":{"total_size":N},"weight_map":{"tensor":"file"}}</c>. Other fields are passed over.
/// </summary>
internal sealed class ShardedIndex
{
    /// <summary>Largest index, in bytes.</summary>
    public const int MaxBytes = 100_000_000;

    /// <summary>Most tensors.</summary>
    public const int MaxTensors = 1_000_000;

    /// <summary>Most files, far more than published checkpoints have.</summary>
    public const int MaxShards = 10_000;

    private ShardedIndex(string fileName) => FileName = fileName;

    /// <summary>The index's own name.</summary>
    public string FileName { get; }

    /// <summary>The file that holds each tensor; names compare by their characters' codes.</summary>
    public IReadOnlyDictionary<string, string> WeightMap => Map;

    /// <summary>The files, each once, in the order of their first tensor. Names that <see cref="ShardName"/> has found harmless.</summary>
    public IReadOnlyList<string> Shards => Files;

    /// <summary>Bytes of all tensors by the index's own count, which is null where it is missing or no whole number. Many indexes have it wrong.</summary>
    public long? TotalSize { get; private set; }

    private Dictionary<string, string> Map { get; } = new(StringComparer.Ordinal);

    private List<string> Files { get; } = [];

    /// <summary>Reads an index.</summary>
    /// <param name="json">The file's bytes.</param>
    /// <param name="fileName">Its name, for messages.</param>
    /// <param name="requiredSuffix">What every shard's name must end with, for example <c>.safetensors</c>.</param>
    /// <exception cref="ModelFormatException">The index is damaged, hostile or too large.</exception>
    public static ShardedIndex Read(ReadOnlySpan<byte> json, string fileName, string requiredSuffix)
    {
        ShardedIndex index = new(fileName);
        if (json.Length > MaxBytes)
        {
            throw index.Bad(null, $"expected at most {MaxBytes} bytes, found {json.Length}");
        }

        if (!Utf8.IsValid(json))
        {
            throw index.Bad(null, $"expected {json.Length} bytes of UTF-8, found other bytes");
        }

        try
        {
            Utf8JsonReader reader = new(json);
            index.Parse(ref reader, requiredSuffix);
        }
        catch (Exception e) when (StrictJson.IsBadJson(e))
        {
            throw new ModelFormatException(fileName, $"expected {json.Length} bytes of JSON, found damaged JSON", null, e);
        }

        return index.Map.Count > 0 ? index : throw index.Bad("weight_map", "expected at least one tensor, found none");
    }

    private void Parse(ref Utf8JsonReader json, string requiredSuffix)
    {
        json.Read();
        Check(ref json, JsonTokenType.StartObject, null);
        bool hasMap = false;
        while (json.Read() && json.TokenType is JsonTokenType.PropertyName)
        {
            if (json.ValueTextEquals("weight_map"u8))
            {
                hasMap = !hasMap ? true : throw Bad("weight_map", "expected it once, found it twice");
                ParseMap(ref json, requiredSuffix);
            }
            else if (json.ValueTextEquals("metadata"u8))
            {
                ParseMetadata(ref json);
            }
            else
            {
                StrictJson.Skip(ref json);
            }
        }

        // The reader itself refuses anything but white space here.
        json.Read();
        if (!hasMap)
        {
            throw Bad("weight_map", "expected an object, found no such field");
        }
    }

    private void ParseMap(ref Utf8JsonReader json, string requiredSuffix)
    {
        json.Read();
        Check(ref json, JsonTokenType.StartObject, "weight_map");
        Dictionary<string, string> known = new(StringComparer.OrdinalIgnoreCase);
        while (json.Read() && json.TokenType is JsonTokenType.PropertyName)
        {
            string tensor = json.GetString()!;
            json.Read();
            Check(ref json, JsonTokenType.String, tensor);
            string shard = Shard(json.GetString()!, tensor, requiredSuffix, known);
            if (Map.Count == MaxTensors)
            {
                throw Bad("weight_map", $"expected at most {MaxTensors} tensors, found more");
            }

            if (!Map.TryAdd(tensor, shard))
            {
                throw Bad(tensor, $"expected each tensor once, found it twice, in {Map[tensor]} and {shard}");
            }
        }
    }

    // One string per file, however many tensors name it; names are checked once.
    private string Shard(string name, string tensor, string requiredSuffix, Dictionary<string, string> known)
    {
        if (known.TryGetValue(name, out string? first))
        {
            // Two files on one system, one file on another: no writer means that.
            return first == name ? first : throw Bad(tensor, $"expected file names that differ in more than upper and lower case, found {first} and {name}");
        }

        if (ShardName.Problem(name, requiredSuffix) is string problem)
        {
            throw Bad(tensor, problem);
        }

        if (Files.Count == MaxShards)
        {
            throw Bad("weight_map", $"expected at most {MaxShards} files, found more");
        }

        known.Add(name, name);
        Files.Add(name);
        return name;
    }

    private void ParseMetadata(ref Utf8JsonReader json)
    {
        Utf8JsonReader value = json;
        StrictJson.Skip(ref json);
        value.Read();
        if (value.TokenType is not JsonTokenType.StartObject)
        {
            return;
        }

        while (value.Read() && value.TokenType is JsonTokenType.PropertyName)
        {
            bool isTotal = value.ValueTextEquals("total_size"u8);
            StrictJson.Skip(ref value);
            if (isTotal && value.TokenType is JsonTokenType.Number)
            {
                // Some writers print 13476831232.0.
                TotalSize = value.TryGetInt64(out long whole) ? whole
                    : value.TryGetDouble(out double number) && Math.Abs(number) <= 1L << 53 && double.IsInteger(number) ? (long)number
                    : null;
            }
        }
    }

    private void Check(ref Utf8JsonReader json, JsonTokenType token, string? item)
    {
        if (json.TokenType != token)
        {
            throw Bad(item, $"expected {token}, found {json.TokenType}");
        }
    }

    private ModelFormatException Bad(string? item, string problem) => new(FileName, problem, item);
}
