using PicoVicunaSample;
using Vicuna.Managed;
using Vicuna.Managed.Chat;
using Vicuna.Managed.Tokenization;

namespace PruneAndHealSample;

/// <summary>Examines a model on what it was not trained on.</summary>
internal sealed class Examination(Corpus corpus, SentencePieceTokenizer tokenizer)
{
    private readonly int[][] _heldOut = [.. corpus.HeldOut.Select(document => document.Encode(tokenizer))];

    /// <summary>Measures perplexity, right answers and speed.</summary>
    public Examined Run(LanguageModel model, IReadOnlyList<LoraAdapter> adapters)
    {
        double perplexity = Perplexity.MeasureWithAdapters(model, adapters, _heldOut).Perplexity;
        GenerationOptions greedy = new() { Temperature = 0, MaxNewTokens = 40, Adapters = adapters };
        int right = 0;
        int tokens = 0;
        TimeSpan time = TimeSpan.Zero;
        foreach (Fact fact in corpus.Questions)
        {
            GenerationResult answer = model.Generate(Prompt.FromMessages([new ChatMessage(ChatRole.User, fact.Question)]), greedy);
            right += answer.Text == fact.Answer ? 1 : 0;
            tokens += answer.TokenIds.Count;
            time += answer.DecodeTime;
        }

        return new Examined(perplexity, (double)right / corpus.Questions.Count, tokens / time.TotalSeconds);
    }
}
