using System.Text.Json;
using Vicuna.Managed;
using Vicuna.Managed.Chat;

namespace PruneAndHealSample;

/// <summary>Examines a model on texts that it was not trained on, and on questions with known answers.</summary>
internal sealed class Examination
{
    private readonly int[][] _heldOut;
    private readonly (string Question, string Answer)[] _questions;

    /// <summary>Reads the texts and the questions.</summary>
    /// <param name="folder">Where held-out.json and questions.json lie.</param>
    public Examination(string folder)
    {
        using JsonDocument heldOut = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder, "held-out.json")));
        _heldOut = [.. heldOut.RootElement.EnumerateArray().Select(row => row.EnumerateArray().Select(id => id.GetInt32()).ToArray())];
        using JsonDocument questions = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder, "questions.json")));
        _questions = [.. questions.RootElement.EnumerateArray().Select(item => (item.GetProperty("question").GetString()!, item.GetProperty("answer").GetString()!))];
    }

    /// <summary>Measures perplexity, right answers and speed.</summary>
    public Examined Run(LanguageModel model, IReadOnlyList<LoraAdapter> adapters)
    {
        double perplexity = Perplexity.MeasureWithAdapters(model, adapters, _heldOut).Perplexity;
        GenerationOptions greedy = new() { Temperature = 0, MaxNewTokens = 40, Adapters = adapters };
        int right = 0;
        int tokens = 0;
        TimeSpan time = TimeSpan.Zero;
        foreach ((string question, string answer) in _questions)
        {
            GenerationResult result = model.Generate(Prompt.FromMessages([new ChatMessage(ChatRole.User, question)]), greedy);
            right += result.Text == answer ? 1 : 0;
            tokens += result.TokenIds.Count;
            time += result.DecodeTime;
        }

        return new Examined(perplexity, (double)right / _questions.Length, tokens / time.TotalSeconds);
    }
}
