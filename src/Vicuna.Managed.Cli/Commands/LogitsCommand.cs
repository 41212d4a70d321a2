using System.CommandLine;
using System.Globalization;

namespace Vicuna.Managed.Cli.Commands;

/// <summary>One forward pass.</summary>
internal static class LogitsCommand
{
    private const int Shown = 10;

    /// <summary>Makes the verb.</summary>
    public static Command Create()
    {
        Option<int[]> ids = OptionsOf.Ids("--ids", "The token ids; nothing is added to them.");
        ids.Required = true;
        Option<bool> all = new("--all") { Description = "Logits of every position, not of the last alone." };
        Command command = new("logits", "Runs token ids through the model and prints the logits for the next token.") { ids, all };
        AdapterOptions adapters = new(command);
        CommonOptions common = new(command, computes: true, measures: true);
        command.SetAction((parsed, cancellationToken) =>
        {
            using LanguageModel model = common.Load(parsed, cancellationToken);
            using Generator generator = model.CreateGenerator(new GenerationOptions { Adapters = adapters.Load(parsed, model) });
            int[] tokens = parsed.GetValue(ids)!;
            List<float[]> rows = [];
            if (parsed.GetValue(all))
            {
                generator.AppendObserved(tokens, (_, logits) => rows.Add(logits.ToArray()), cancellationToken);
            }
            else
            {
                generator.Append(tokens, cancellationToken);
                rows.Add(generator.GetLogits(cancellationToken).ToArray());
            }

            if (common.Json(parsed))
            {
                WriteJson(rows, parsed.GetValue(all));
            }
            else
            {
                rows.ForEach(row => WriteText(model, row));
            }

            return Task.CompletedTask;
        });
        return command;
    }

    private static void WriteJson(List<float[]> rows, bool all) => JsonOutput.Line(json =>
    {
        json.WritePropertyName("logits");
        if (!all)
        {
            json.WriteFloats(rows[0]);
            return;
        }

        json.WriteStartArray();
        foreach (float[] row in rows)
        {
            json.WriteFloats(row);
        }

        json.WriteEndArray();
    });

    // For people: the likeliest tokens.
    private static void WriteText(LanguageModel model, float[] logits)
    {
        foreach (int id in Enumerable.Range(0, logits.Length).OrderByDescending(id => logits[id]).Take(Shown))
        {
            string piece = model.HasTokenizer && id < model.Tokenizer.VocabularySize ? model.Tokenizer.PieceText(id) : string.Empty;
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{id,7}  {logits[id],12:0.00000}  {piece}"));
        }

        Console.WriteLine();
    }
}
