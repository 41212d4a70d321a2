using Vicuna.Managed.Models;

namespace Vicuna.Managed.Checkpoints;

/// <summary>What generation_config.json says.</summary>
/// <param name="Options">Default options.</param>
/// <param name="EndOfSequenceIds">Ids that end an answer, or empty where the file has none.</param>
internal sealed record GenerationDefaults(GenerationOptions Options, IReadOnlyList<int> EndOfSequenceIds)
{
    /// <summary>Nothing said.</summary>
    public static GenerationDefaults None { get; } = new(new GenerationOptions(), []);

    /// <summary>
    /// Reads the file. As in transformers <c>do_sample</c> false means greedy; where it is absent, a temperature, top-k or top-p means that
    /// the model's makers want sampling, and nothing at all means greedy.
    /// </summary>
    /// <exception cref="ModelFormatException">The file is damaged, or a number is out of its range.</exception>
    public static GenerationDefaults Read(ReadOnlyMemory<byte> utf8, string fileName, int vocabSize)
    {
        JsonObject json = JsonObject.Parse(utf8, fileName);
        double? temperature = json.Number("temperature");
        int? topK = json.Int("top_k");
        double? topP = json.Number("top_p");
        bool samples = json.Bool("do_sample") ?? (temperature is not null || topK is not null || topP is not null);
        GenerationOptions options = new()
        {
            MaxNewTokens = json.Int("max_new_tokens"),
            Temperature = samples ? temperature ?? 1 : 0,
            TopK = samples ? topK : null,
            TopP = samples ? topP : null,
            MinP = samples ? json.Number("min_p") : null,
            RepetitionPenalty = json.Number("repetition_penalty"),
        };
        try
        {
            Generation.OptionsResolver.Resolve(options, vocabSize);
        }
        catch (ArgumentException exception)
        {
            throw new ModelFormatException(fileName, exception.Message.ReplaceLineEndings(" "), item: null, exception);
        }

        IReadOnlyList<int> ends = json.IntOrInts("eos_token_id");
        foreach (int id in ends)
        {
            if (id < 0 || id >= vocabSize)
            {
                throw new ModelFormatException(fileName, $"expected 0 to {vocabSize - 1}, found {id}", "eos_token_id");
            }
        }

        return new GenerationDefaults(options, ends);
    }
}
