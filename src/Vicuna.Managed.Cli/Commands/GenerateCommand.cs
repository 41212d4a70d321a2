using System.CommandLine;

namespace Vicuna.Managed.Cli.Commands;

/// <summary>Continues a text.</summary>
internal static class GenerateCommand
{
    /// <summary>Makes the verb.</summary>
    public static Command Create()
    {
        Option<string?> text = new("--prompt") { Description = "The text to continue, encoded as the model's tokenizer does by default.", HelpName = "TEXT" };
        Option<int[]> ids = OptionsOf.Ids("--ids", "Token ids to continue, taken as they are.");
        Command command = new("generate", "Continues a text, streaming.") { text, ids };
        SamplingOptions sampling = new(command);
        AdapterOptions adapters = new(command);
        CommonOptions common = new(command, computes: true);
        command.SetAction(async (parsed, cancellationToken) =>
        {
            Prompt prompt = (parsed.GetValue(text), parsed.GetValue(ids) ?? []) switch
            {
                ({ } given, []) => given,
                (null, [_, ..] tokens) => tokens,
                _ => throw new WrongUsageException("generate: expected either --prompt or --ids."),
            };
            bool json = common.Json(parsed);
            GenerationOptions chosen = sampling.Read(parsed);
            using LanguageModel model = common.Load(parsed, cancellationToken);
            GenerationOptions options = chosen with { Adapters = adapters.Load(parsed, model) };
            GenerationResult result = await AnswerWriter.WriteAsync(model.StreamAsync(prompt, options, cancellationToken), json).ConfigureAwait(false);
            if (!json)
            {
                AnswerWriter.WriteSpeed(result);
            }
        });
        return command;
    }
}
