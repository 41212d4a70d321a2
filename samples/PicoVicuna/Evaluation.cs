using Vicuna.Managed;
using Vicuna.Managed.Chat;

namespace PicoVicunaSample;

/// <summary>Examines a model: how well it foresees what it was not trained on, and how many questions it answers word for word.</summary>
internal static class Evaluation
{
    // Questions that are answered together, for speed.
    private const int Batch = 20;

    /// <summary>Examines a checkpoint.</summary>
    /// <param name="folder">The checkpoint.</param>
    /// <param name="corpus">Has the held-out documents and the questions.</param>
    /// <param name="report">Takes lines for people.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static void Run(string folder, Corpus corpus, Action<string> report, CancellationToken cancellationToken)
    {
        using LanguageModel model = LanguageModel.Load(folder, new LoadOptions { KeyValueType = KeyValueType.F32 }, cancellationToken: cancellationToken);
        PerplexityResult perplexity = Perplexity.Measure(
            model, [.. corpus.HeldOut.Select(document => document.Encode(model.Tokenizer))], cancellationToken: cancellationToken);
        report($"held out: perplexity {perplexity.Perplexity:0.00000} of {perplexity.Tokens:N0} tokens in {perplexity.Windows} documents");

        int right = 0;
        int rightHeldOut = 0;
        GenerationOptions greedy = new() { Temperature = 0, MaxNewTokens = 80 };
        foreach (Fact[] facts in corpus.Questions.Chunk(Batch))
        {
            Prompt[] prompts = [.. facts.Select(fact => Prompt.FromMessages([new ChatMessage(ChatRole.User, fact.Question)]))];
            IReadOnlyList<GenerationResult> answers = model.GenerateBatch(prompts, greedy, cancellationToken);
            foreach ((Fact fact, GenerationResult answer) in facts.Zip(answers))
            {
                bool isRight = answer.Text == fact.Answer;
                right += isRight ? 1 : 0;
                rightHeldOut += isRight && fact.IsHeldOut ? 1 : 0;
                if (!isRight)
                {
                    report($"  wrong: {fact.Question} -> {answer.Text}{(fact.IsHeldOut ? " (wording held out)" : "")}");
                }
            }
        }

        int heldOut = corpus.Questions.Count(fact => fact.IsHeldOut);
        report($"questions: {right} of {corpus.Questions.Count} right, of them {rightHeldOut} of {heldOut} in a wording that was held out");
    }
}
