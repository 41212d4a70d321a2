// Shortens the small model of this repository: scores its blocks by every criterion, cuts 2 of 8 by each, heals the cuts, and shows what it cost.
//
//   dotnet run -c Release --project samples/PruneAndHeal                 prints a table; writes report.md and report.svg to ./prune-and-heal
//   dotnet run -c Release --project samples/PruneAndHeal -- --out DIR    writes them elsewhere
//
// About two minutes on two cores. With a model of your own the steps are the same: score, prune, heal and merge of the vicuna tool are these calls.
using System.Globalization;
using System.Text;
using PicoVicunaSample;
using PruneAndHealSample;
using Vicuna.Managed;
using Vicuna.Managed.Compression;

const int Cut = 2;
const int Documents = 1600; // the first of those that the model was trained on

string output = args is ["--out", string folder] ? folder : "prune-and-heal";
string modelPath = Path.Combine(AppContext.BaseDirectory, "pico-vicuna");
Directory.CreateDirectory(output);
string adapters = Directory.CreateTempSubdirectory("prune-and-heal-").FullName;
try
{
    Corpus corpus = new(Documents, Recipe.Seed);
    using LanguageModel whole = LanguageModel.Load(modelPath);
    List<TrainingSample> samples = SamplePacker.Pack([.. corpus.Training.Select(document => document.Encode(whole.Tokenizer))], Recipe.SampleTokens);
    Examination examination = new(AppContext.BaseDirectory);
    examination.Run(whole, []); // the first run compiles, which would look like a slow model
    Examined before = examination.Run(whole, []);
    Row("the whole model", "none", before);

    // Ten passages; the first block and the last stay, of eight no more can be spared.
    IReadOnlyList<int>[] calibration = [.. samples.Take(10).Select(sample => sample.Ids)];
    List<Result> results = [];
    Dictionary<string, (Examined Cut, Examined Healed)> known = [];
    foreach (ScoreCriterion criterion in Enum.GetValues<ScoreCriterion>())
    {
        BlockScores scores = BlockScorer.Score(whole, criterion, calibration);
        IReadOnlyList<int> removed = DepthPruner.Select(scores, Cut, keepFirst: 1, keepLast: 1);
        string name = string.Join(", ", removed);
        if (!known.TryGetValue(name, out (Examined Cut, Examined Healed) result))
        {
            // Nothing is written for a trial: the same weights run without the blocks.
            using LanguageModel cut = LanguageModel.Load(modelPath, new LoadOptions { RemovedBlocks = [.. removed] });
            string adapter = Path.Combine(adapters, $"adapter-{known.Count}");
            LoraTrainer.Train(cut, samples, adapter, new HealOptions { Epochs = 1, BatchSize = 16, LearningRate = 2e-3, WarmupSteps = 5, ValidationSamples = 20 });
            result = (examination.Run(cut, []), examination.Run(cut, [cut.LoadAdapter(adapter)]));
            known.Add(name, result);
        }

        results.Add(new Result(criterion, removed, result.Cut, result.Healed));
        Row($"{criterion}, cut", name, result.Cut);
        Row($"{criterion}, healed", name, result.Healed);
    }

    File.WriteAllText(Path.Combine(output, "report.md"), Table(before, results));
    Picture.Write(Path.Combine(output, "report.svg"), before, results);
    Console.WriteLine($"{Path.Combine(output, "report.md")}, report.svg");
    return 0;
}
finally
{
    Directory.Delete(adapters, recursive: true);
}

static void Row(string what, string removed, Examined examined) => Console.WriteLine(string.Create(
    CultureInfo.InvariantCulture,
    $"{what,-24} without {removed,-6} perplexity {examined.Perplexity,8:0.000}  right {examined.Accuracy,6:0.0 %}  {examined.TokensPerSecond,6:0} tokens/s"));

static string Table(Examined before, IReadOnlyList<Result> results)
{
    StringBuilder text = new();
    text.AppendLine("| model | blocks removed | perplexity after the cut | after healing | right answers after the cut | after healing | tokens/s |");
    text.AppendLine("|---|---|---|---|---|---|---|");
    text.AppendLine(CultureInfo.InvariantCulture, $"| whole | none | {before.Perplexity:0.000} | | {before.Accuracy:0.0 %} | | {before.TokensPerSecond:0} |");
    foreach (Result result in results)
    {
        text.Append(CultureInfo.InvariantCulture, $"| {result.Criterion} | {string.Join(", ", result.Removed)} ");
        text.Append(CultureInfo.InvariantCulture, $"| {result.Cut.Perplexity:0.000} | {result.Healed.Perplexity:0.000} | {result.Cut.Accuracy:0.0 %} | {result.Healed.Accuracy:0.0 %} ");
        text.AppendLine(CultureInfo.InvariantCulture, $"| {result.Cut.TokensPerSecond:0} |");
    }

    return text.ToString();
}
