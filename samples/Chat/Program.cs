// A conversation in the console.
//
//   dotnet run -c Release --project samples/Chat                          answers a first question, then asks for yours
//   dotnet run -c Release --project samples/Chat -- "What is 2 plus 5?"   answers and ends
//   dotnet run -c Release --project samples/Chat -- --model PATH          talks to a model of your own (a folder or a .gguf file)
//
// As one native executable (Native AOT; it needs a C compiler, and runs on CPUs like the building machine's; say x86-64-v3 for any since 2013):
//   dotnet publish -c Release -r linux-x64 -p:PublishAot=true -p:IlcInstructionSet=native samples/Chat
// As one trimmed file with the runtime in it (ReadyToRun: compiled code to start with, which trimming would drop):
//   dotnet publish -c Release -r linux-x64 --self-contained -p:PublishTrimmed=true -p:PublishSingleFile=true -p:PublishReadyToRun=true samples/Chat
using System.Reflection;
using Vicuna.Managed;

const string FirstQuestion = "Tell me a story about a cat.";

string? modelPath = args is ["--model", _, ..] ? args[1] : null;
string question = string.Join(' ', modelPath is null ? args : args[2..]);

using CancellationTokenSource interrupt = new();
Console.CancelKeyPress += (_, signal) =>
{
    signal.Cancel = !interrupt.IsCancellationRequested;
    interrupt.Cancel();
};

try
{
    using LanguageModel model = modelPath is null
        ? LanguageModel.LoadFiles(EmbeddedFiles.Read(Assembly.GetExecutingAssembly(), "pico-vicuna/"))
        : await LanguageModel.LoadAsync(modelPath, cancellationToken: interrupt.Token);
    if (model.InstructionSetNotice is { } notice)
    {
        Console.Error.WriteLine(notice);
    }

    using ChatSession chat = model.CreateChat();

    if (question.Length > 0)
    {
        await Answer(chat, question);
        return 0;
    }

    Console.WriteLine($"> {FirstQuestion}");
    await Answer(chat, FirstQuestion);
    while (true)
    {
        Console.Write("> ");
        string? line = Console.ReadLine();
        if (string.IsNullOrEmpty(line))
        {
            Console.WriteLine();
            return 0;
        }

        try
        {
            await Answer(chat, line);
        }
        catch (ContextLengthExceededException)
        {
            // The small model's context is short: start over rather than end.
            chat.Clear();
            await Answer(chat, line);
        }
    }
}
catch (OperationCanceledException)
{
    return 130;
}
catch (Exception exception) when (exception is ModelFormatException or IOException or ContextLengthExceededException)
{
    Console.Error.WriteLine(exception.Message);
    return 1;
}

async Task Answer(ChatSession session, string message)
{
    await foreach (GenerationChunk piece in session.SendAsync(message, interrupt.Token))
    {
        Console.Write(piece.Text);
        if (piece.Result is { } result)
        {
            Console.WriteLine($"\n[{result.TokenIds.Count} tokens, {result.TokenIds.Count / Math.Max(result.DecodeTime.TotalSeconds, 1e-9):0} per second]");
        }
    }
}
