// Makes the model of samples/models from nothing: its corpus, its vocabulary and its weights, the same on every run.
//
//   dotnet run -c Release --project samples/PicoVicuna -- --out DIR                the checkpoint DIR/pico-vicuna, DIR/held-out.json, DIR/questions.json
//   dotnet run -c Release --project samples/PicoVicuna -- --out DIR --corpus-only  all but the weights, and the corpus as text: DIR/corpus.txt
//   dotnet run -c Release --project samples/PicoVicuna -- --evaluate MODEL         examines a checkpoint
//
// --documents N makes less of it. An interrupted training goes on when it is called again.
using System.Buffers;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using PicoVicunaSample;
using Vicuna.Managed;
using Vicuna.Managed.Compression;
using Vicuna.Managed.Tokenization;

string? outFolder = null;
string? evaluated = null;
bool corpusOnly = false;
int documents = Recipe.Documents;
for (int i = 0; i < args.Length; i++)
{
    string? value = i + 1 < args.Length ? args[i + 1] : null;
    bool isNumber = int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number > 0;
    switch (args[i])
    {
        case "--out" when value is not null:
            outFolder = value;
            break;
        case "--evaluate" when value is not null:
            evaluated = value;
            break;
        case "--documents" when isNumber:
            documents = number;
            break;
        case "--corpus-only":
            corpusOnly = true;
            continue;
        default:
            return Usage();
    }

    i++;
}

if (outFolder is null == evaluated is null)
{
    return Usage();
}

using CancellationTokenSource interrupt = new();
Console.CancelKeyPress += (_, signal) =>
{
    signal.Cancel = !interrupt.IsCancellationRequested;
    interrupt.Cancel();
};

try
{
    long start = Stopwatch.GetTimestamp();
    Corpus corpus = new(documents, Recipe.Seed);
    if (outFolder is not null)
    {
        string folder = Path.Combine(outFolder, "pico-vicuna");
        SentencePieceTokenizer tokenizer = Recipe.WriteFiles(folder, Recipe.Vocabulary(corpus));
        List<TrainingSample> samples = Prepare(corpus, tokenizer, start);
        WriteExamination(corpus, tokenizer, outFolder);
        if (corpusOnly)
        {
            File.WriteAllLines(Path.Combine(outFolder, "corpus.txt"), corpus.Training.Select(document => document.ToString()));
            return 0;
        }

        Training.Run(Recipe.Config, samples, folder, Console.WriteLine, interrupt.Token);
        evaluated = folder;
    }

    Evaluation.Run(evaluated!, corpus, Console.WriteLine, interrupt.Token);
    return 0;
}
catch (OperationCanceledException)
{
    return 130;
}
catch (Exception exception) when (exception is ModelFormatException or IOException or UnauthorizedAccessException)
{
    Console.Error.WriteLine(exception.Message);
    return 1;
}

static List<TrainingSample> Prepare(Corpus corpus, SentencePieceTokenizer tokenizer, long start)
{
    int[][] ids = [.. corpus.Training.Select(document => document.Encode(tokenizer))];
    List<TrainingSample> samples = SamplePacker.Pack(ids, Recipe.SampleTokens);
    long tokens = samples.Sum(sample => (long)sample.Ids.Count);
    long bytes = corpus.Training.Sum(document => document.Texts.Sum(text => (long)Encoding.UTF8.GetByteCount(text)));
    long places = samples.Sum(sample => sample.Ids.Count > Recipe.SampleTokens ? 2L * Recipe.SampleTokens : Recipe.SampleTokens);
    Console.WriteLine(string.Create(
        CultureInfo.InvariantCulture,
        $"corpus: {corpus.Training.Count:N0} documents, {tokens:N0} tokens of {(double)bytes / tokens:0.00} bytes, in {samples.Count:N0} samples that are "
            + $"{100.0 * tokens / places:0.0} % full; {Stopwatch.GetElapsedTime(start).TotalSeconds:0.0} s"));
    return samples;
}

static void WriteExamination(Corpus corpus, SentencePieceTokenizer tokenizer, string folder)
{
    File.WriteAllText(
        Path.Combine(folder, "held-out.json"),
        $"[\n{string.Join(",\n", corpus.HeldOut.Select(document => $"[{string.Join(',', document.Encode(tokenizer))}]"))}\n]\n");
    ArrayBufferWriter<byte> json = new();
    using (Utf8JsonWriter writer = new(json, new JsonWriterOptions { Indented = true }))
    {
        writer.WriteStartArray();
        foreach (Fact fact in corpus.Questions)
        {
            writer.WriteStartObject();
            writer.WriteString("question", fact.Question);
            writer.WriteString("answer", fact.Answer);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }

    File.WriteAllBytes(Path.Combine(folder, "questions.json"), [.. json.WrittenSpan, (byte)'\n']);
}

static int Usage()
{
    Console.Error.WriteLine("PicoVicuna --out DIR [--corpus-only] [--documents N], or PicoVicuna --evaluate MODEL");
    return 2;
}
