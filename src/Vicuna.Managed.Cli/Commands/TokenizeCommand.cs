using System.CommandLine;
using Vicuna.Managed.Tokenization;

namespace Vicuna.Managed.Cli.Commands;

/// <summary>Text to ids.</summary>
internal static class TokenizeCommand
{
    /// <summary>Makes the verb.</summary>
    public static Command Create()
    {
        Option<string?> text = new("--text") { Description = "The text.", HelpName = "TEXT" };
        Option<string?> file = new("--file") { Description = "A UTF-8 file that holds the text.", HelpName = "PATH" };
        Option<bool> bos = new("--bos") { Description = "Put the beginning-of-sequence id in front." };
        Command command = new("tokenize", "Turns text into token ids.") { text, file, bos };
        CommonOptions common = new(command, computes: false);
        command.SetAction(parsed =>
        {
            string input = (parsed.GetValue(text), parsed.GetValue(file)) switch
            {
                ({ } given, null) => given,
                (null, { } path) => InputFiles.ReadText(path),
                _ => throw new WrongUsageException("tokenize: expected either --text or --file."),
            };
            SentencePieceTokenizer tokenizer = TokenizerSource.Open(common.ModelPath(parsed));
            bool addBos = parsed.GetValue(bos);
            if (addBos && tokenizer.BosId is null)
            {
                throw new ModelFormatException("The tokenizer has no beginning-of-sequence id.");
            }

            IReadOnlyList<int> ids = tokenizer.Encode(input, addBos);
            if (common.Json(parsed))
            {
                JsonOutput.Line(json => json.WriteIds("ids", ids));
            }
            else
            {
                Console.WriteLine(string.Join(',', ids));
            }
        });
        return command;
    }
}
