using System.CommandLine;
using Vicuna.Managed.Chat;

namespace Vicuna.Managed.Cli.Commands;

/// <summary>A conversation.</summary>
internal static class ChatCommand
{
    /// <summary>Makes the verb.</summary>
    public static Command Create()
    {
        Option<string?> system = new("--system") { Description = "The system message. Default: the template's own.", HelpName = "TEXT" };
        Option<string[]> messages = new("--message") { Description = "What the user says; may be given several times. Default: asked for.", HelpName = "TEXT" };
        Option<string?> template = new("--template") { Description = $"The conversation template: {string.Join(", ", PromptTemplates.Names)}. Default: the model's own." };
        template.AcceptOnlyFromAmong([.. PromptTemplates.Names]);
        Command command = new("chat", "Holds a conversation in the model's own template.") { system, messages, template };
        SamplingOptions sampling = new(command);
        AdapterOptions adapters = new(command);
        CommonOptions common = new(command, computes: true);
        command.SetAction(async (parsed, cancellationToken) =>
        {
            bool json = common.Json(parsed);
            GenerationOptions chosen = sampling.Read(parsed);
            IPromptFormatter? formatter = parsed.GetValue(template) is { } name && PromptTemplates.TryGet(name, out IPromptFormatter? found) ? found : null;
            using LanguageModel model = common.Load(parsed, formatter, cancellationToken);
            using ChatSession chat = model.CreateChat(parsed.GetValue(system), chosen with { Adapters = adapters.Load(parsed, model) });
            string[] given = parsed.GetValue(messages) ?? [];
            IEnumerable<string> turns = given.Length > 0 ? given : AskedFor(json);
            foreach (string message in turns)
            {
                GenerationResult result = await AnswerWriter.WriteAsync(chat.SendAsync(message, cancellationToken), json).ConfigureAwait(false);
                if (!json)
                {
                    AnswerWriter.WriteSpeed(result);
                }
            }
        });
        return command;
    }

    // Lines of standard input until its end or /exit; with a prompt where a person sits in front of it.
    private static IEnumerable<string> AskedFor(bool json)
    {
        bool interactive = !Console.IsInputRedirected && !json;
        if (interactive)
        {
            Console.Error.WriteLine("Type a message; an empty line or /exit ends the conversation.");
        }

        while (true)
        {
            if (interactive)
            {
                Console.Error.Write("> ");
            }

            string? line = Console.ReadLine();
            if (line is null or "/exit" || (interactive && line.Length == 0))
            {
                yield break;
            }

            if (line.Length > 0)
            {
                yield return line;
            }
        }
    }
}
