using System.Buffers;
using System.Text.Json;
using Vicuna.Managed.Models;

namespace Vicuna.Managed.Adapters;

/// <summary>
/// Reads and writes <c>adapter_config.json</c>. The keys are those of PEFT's LoraConfig (huggingface/peft, <c>src/peft/tuners/lora/config.py</c>). A key
/// that would change what the adapter computes, and is not supported, is refused by name; all others are passed over.
/// </summary>
internal static class PeftConfigFile
{
    /// <summary>Largest rank, far more than adapters have.</summary>
    public const int MaxRank = 16384;

    private const int MaxTargetModules = 1024;

    // Each of them says that the adapter is more than B·A with one rank and one scale.
    private static readonly string[] Unsupported =
    [
        "use_dora", "fan_in_fan_out", "lora_bias", "use_qalora", "use_bdlora", "rank_pattern", "alpha_pattern", "modules_to_save", "layer_replication",
        "trainable_token_indices", "target_parameters", "alora_invocation_tokens", "arrow_config",
    ];

    // How A and B were drawn does not matter once they are trained. The other ways (pissa, olora, loftq, corda) change the base's weights too.
    private static readonly string[] HarmlessBeginnings = ["true", "false", "gaussian", "eva", "orthogonal"];

    private static readonly JsonWriterOptions WriterOptions = new() { Indented = true, NewLine = "\n" };

    /// <summary>Reads the file.</summary>
    /// <param name="utf8">Its bytes.</param>
    /// <param name="fileName">Its name, for messages.</param>
    /// <returns>The settings; <see cref="PeftConfig.TargetModules"/> is empty where the file has a pattern instead of a list.</returns>
    /// <exception cref="ModelFormatException">The file is damaged, or asks for what is not supported.</exception>
    public static PeftConfig Read(ReadOnlyMemory<byte> utf8, string fileName)
    {
        JsonObject json = JsonObject.Parse(utf8, fileName);
        Require(json, "peft_type", "LORA", mayBeAbsent: false);
        Require(json, "task_type", "CAUSAL_LM", mayBeAbsent: true);
        Require(json, "bias", "none", mayBeAbsent: true);
        foreach (string key in Unsupported)
        {
            if (!IsUnset(json, key))
            {
                throw new ModelFormatException(fileName, $"expected it unset (it is not supported), found {Shown(json.StringOrOther(key)!)}", key);
            }
        }

        if (json.StringOrOther("init_lora_weights") is { } initialization && !HarmlessBeginnings.Contains(initialization, StringComparer.OrdinalIgnoreCase))
        {
            throw new ModelFormatException(
                fileName,
                $"expected one of {string.Join(", ", HarmlessBeginnings)} (others change the base model too), found {Shown(initialization)}",
                "init_lora_weights");
        }

        double dropout = json.Number("lora_dropout") ?? 0;
        PeftConfig config = new()
        {
            Rank = Checked(json, "r", json.RequiredInt("r"), static rank => rank is >= 1 and <= MaxRank, $"1 to {MaxRank}"),
            Alpha = json.Number("lora_alpha") ?? throw new ModelFormatException(fileName, "expected a number, found nothing", "lora_alpha"),
            Dropout = Checked(json, "lora_dropout", dropout, static share => share is >= 0 and <= 1, "0 to 1"),
            UseRslora = json.Bool("use_rslora") ?? false,
            TargetModules = TargetModules(json),
            BaseModel = json.String("base_model_name_or_path") ?? string.Empty,
        };
        Checked(json, "lora_alpha", config.Alpha, _ => float.IsFinite(config.Scale), "a number whose quotient by the rank single precision holds");
        return config;
    }

    /// <summary>Writes the file, such that PEFT loads it.</summary>
    /// <returns>Indented JSON, UTF-8; the same settings give the same bytes.</returns>
    public static byte[] Write(PeftConfig config)
    {
        ArrayBufferWriter<byte> buffer = new();
        using (Utf8JsonWriter json = new(buffer, WriterOptions))
        {
            json.WriteStartObject();
            json.WriteString("base_model_name_or_path", config.BaseModel);
            json.WriteString("bias", "none");
            json.WriteBoolean("fan_in_fan_out", false);
            json.WriteBoolean("inference_mode", true);
            json.WriteNumber("lora_alpha", config.Alpha);
            json.WriteNumber("lora_dropout", config.Dropout);
            json.WriteNull("modules_to_save");
            json.WriteString("peft_type", "LORA");
            json.WriteNumber("r", config.Rank);
            json.WriteStartArray("target_modules");
            foreach (string module in config.TargetModules)
            {
                json.WriteStringValue(module);
            }

            json.WriteEndArray();
            json.WriteString("task_type", "CAUSAL_LM");
            if (config.UseRslora)
            {
                // Left out where it is not needed: older versions of PEFT refuse keys that they do not know.
                json.WriteBoolean("use_rslora", true);
            }

            json.WriteEndObject();
        }

        return buffer.WrittenSpan.ToArray();
    }

    // A list; or a text: a pattern, or "all-linear", which the tensors spell out.
    private static IReadOnlyList<string> TargetModules(JsonObject json)
    {
        const string key = "target_modules";
        if (json.StringOrOther(key) is not { } text)
        {
            return [];
        }

        if (!text.StartsWith('['))
        {
            _ = json.String(key);
            return [];
        }

        IReadOnlyList<string> modules = json.Strings(key);
        return Checked(json, key, modules.Count, static count => count <= MaxTargetModules, $"at most {MaxTargetModules} names") > 0 ? modules : [];
    }

    private static void Require(JsonObject json, string key, string expected, bool mayBeAbsent)
    {
        string? found = json.StringOrOther(key);
        if (found != expected && !(mayBeAbsent && found is null))
        {
            throw new ModelFormatException(json.FileName, $"expected '{expected}', found {(found is null ? "nothing" : Shown(found))}", key);
        }
    }

    private static bool IsUnset(JsonObject json, string key)
    {
        string? value = json.StringOrOther(key);
        return value is null or "false" || string.Concat(value.Where(letter => !char.IsWhiteSpace(letter))) is "" or "{}" or "[]";
    }

    private static T Checked<T>(JsonObject json, string key, T value, Func<T, bool> holds, string expected) => holds(value)
        ? value
        : throw new ModelFormatException(json.FileName, FormattableString.Invariant($"expected {expected}, found {value}"), key);

    private static string Shown(string text) => ModelFormatException.Quote(text);
}
