using System.CommandLine;
using Vicuna.Managed.Tokenization;

namespace Vicuna.Managed.Cli.Commands;

/// <summary>Ids to text.</summary>
internal static class DetokenizeCommand
{
    /// <summary>Makes the verb.</summary>
    public static Command Create()
    {
        Option<int[]> ids = OptionsOf.Ids("--ids", "The token ids.");
        ids.Required = true;
        Command command = new("detokenize", "Turns token ids into text.") { ids };
        CommonOptions common = new(command, computes: false);
        command.SetAction(parsed =>
        {
            SentencePieceTokenizer tokenizer = TokenizerSource.Open(common.ModelPath(parsed));
            string text = tokenizer.Decode(parsed.GetValue(ids)!);
            if (common.Json(parsed))
            {
                JsonOutput.Line(json => json.WriteString("text", text));
            }
            else
            {
                Console.WriteLine(text);
            }
        });
        return command;
    }
}
