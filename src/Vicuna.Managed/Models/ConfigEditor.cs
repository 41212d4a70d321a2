using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Vicuna.Managed.Models;

/// <summary>Changes a config.json and keeps every key that it does not know, for others who do.</summary>
internal static class ConfigEditor
{
    private const string Layers = "num_hidden_layers";

    // Keys of transformers' configurations that have an entry a block.
    private static readonly string[] PerLayer = ["layer_types", "no_rope_layers"];

    // The older and the newer name of one key.
    private static readonly string[] StorageType = ["torch_dtype", "dtype"];

    /// <summary>Adapts a configuration to a cut.</summary>
    /// <param name="utf8">The file.</param>
    /// <param name="fileName">Its name, for messages.</param>
    /// <param name="cut">Which blocks stay.</param>
    /// <returns>Indented JSON, UTF-8: the same keys in the same order.</returns>
    /// <exception cref="ModelFormatException">It is not a JSON object.</exception>
    public static byte[] Cut(ReadOnlyMemory<byte> utf8, string fileName, BlockCut cut)
    {
        int blocks = cut.Kept.Count + cut.Removed.Count;
        return Edit(utf8, fileName, (json, property) =>
        {
            if (property.NameEquals(Layers))
            {
                json.WriteNumber(Layers, cut.Kept.Count);
                return true;
            }

            if (!PerLayer.Contains(property.Name) || property.Value.ValueKind != JsonValueKind.Array || property.Value.GetArrayLength() != blocks)
            {
                return false;
            }

            json.WriteStartArray(property.Name);
            foreach (int block in cut.Kept)
            {
                property.Value[block].WriteTo(json);
            }

            json.WriteEndArray();
            return true;
        });
    }

    /// <summary>Adapts a configuration to another storage type of the weights.</summary>
    /// <param name="utf8">The file.</param>
    /// <param name="fileName">Its name, for messages.</param>
    /// <param name="storageType">PyTorch's name of the type: <c>float16</c>.</param>
    /// <returns>Indented JSON, UTF-8: the same keys in the same order, with the type.</returns>
    /// <exception cref="ModelFormatException">It is not a JSON object.</exception>
    public static byte[] Retype(ReadOnlyMemory<byte> utf8, string fileName, string storageType)
    {
        bool known = false;
        return Edit(
            utf8,
            fileName,
            (json, property) =>
            {
                if (!StorageType.Contains(property.Name))
                {
                    return false;
                }

                json.WriteString(property.Name, storageType);
                return known = true;
            },
            json =>
            {
                if (!known)
                {
                    json.WriteString(StorageType[0], storageType);
                }
            });
    }

    private static byte[] Edit(ReadOnlyMemory<byte> utf8, string fileName, Func<Utf8JsonWriter, JsonProperty, bool> edit, Action<Utf8JsonWriter>? append = null)
    {
        // Checks what the writer below relies on.
        JsonObject.Parse(utf8, fileName);
        using JsonDocument document = JsonDocument.Parse(utf8);
        ArrayBufferWriter<byte> buffer = new();

        try
        {
            Write(document.RootElement, buffer, edit, append);
        }
        catch (InvalidOperationException e)
        {
            throw new ModelFormatException(fileName, "expected strings of whole Unicode characters, found half a surrogate pair", item: null, e);
        }

        return buffer.WrittenSpan.ToArray();
    }

    private static void Write(JsonElement root, IBufferWriter<byte> buffer, Func<Utf8JsonWriter, JsonProperty, bool> edit, Action<Utf8JsonWriter>? append)
    {
        // Strings stay as readable as they were; numbers are copied digit by digit.
        using Utf8JsonWriter json = new(buffer, new JsonWriterOptions { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
        json.WriteStartObject();
        foreach (JsonProperty property in root.EnumerateObject())
        {
            if (!edit(json, property))
            {
                property.WriteTo(json);
            }
        }

        append?.Invoke(json);
        json.WriteEndObject();
    }
}
