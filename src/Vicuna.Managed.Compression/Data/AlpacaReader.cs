using System.Text.Json;
using Vicuna.Managed.Tokenization;

namespace Vicuna.Managed.Compression.Data;

/// <summary>
/// Makes samples of instructions with answers as "Shortened LLaMA" does (as tloen/alpaca-lora's <c>finetune.py</c> with the template "alpaca"): prompt and
/// answer are encoded as one text, and as many tokens are masked as the prompt alone has.
/// </summary>
internal static class AlpacaReader
{
    private const string WithInput =
        "Below is an instruction that describes a task, paired with an input that provides further context. "
        + "Write a response that appropriately completes the request.";

    private const string WithoutInput = "Below is an instruction that describes a task. Write a response that appropriately completes the request.";

    /// <summary>Whether a record is of this kind.</summary>
    public static bool Fits(JsonElement record) => record.TryGetProperty("instruction", out _);

    /// <summary>Makes a record a sample.</summary>
    /// <exception cref="ModelFormatException">A member is missing or of another type.</exception>
    public static void Read(JsonElement record, SentencePieceTokenizer tokenizer, SampleBuilder builder)
    {
        string prompt = Prompt(record.Text("instruction"), record.OptionalText("input"));
        string answer = record.Text("output");
        int promptTokens = tokenizer.Encode(prompt, tokenizer.AddBos).Count;
        List<int> ids = [.. tokenizer.Encode(prompt + answer, tokenizer.AddBos)];
        if (tokenizer.EosId is int end && ids.Count < builder.Cutoff && ids[^1] != end)
        {
            ids.Add(end);
        }

        builder.Add(ids, i => i >= promptTokens);
    }

    /// <summary>The prompt for an instruction.</summary>
    public static string Prompt(string instruction, string? input) => string.IsNullOrEmpty(input)
        ? $"{WithoutInput}\n\n### Instruction:\n{instruction}\n\n### Response:\n"
        : $"{WithInput}\n\n### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:\n";
}
