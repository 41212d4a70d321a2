// A chat window in the terminal, over view models that Avalonia, WPF or MAUI could bind to as they are (samples/Desktop.ViewModels).
//
//   dotnet run -c Release --project samples/Desktop              talks to the embedded model
//   dotnet run -c Release --project samples/Desktop -- PATH      talks to a model of your own (a folder or a .gguf file)
//
// Conversations and settings are kept in the user's folder for application data, or in the one that --user-folder names.
using System.Runtime.InteropServices;
using DesktopSample;
using DesktopSample.ViewModels;
using Terminal.Gui.App;

const string Usage = "Usage: Desktop [PATH of a checkpoint folder or .gguf file] [--user-folder PATH]";

string? modelPath = null;
string? userFolder = null;
for (int i = 0; i < args.Length; i++)
{
    if (args[i] == "--user-folder" && i + 1 < args.Length)
    {
        userFolder = args[++i];
    }
    else if (args[i].StartsWith('-') || modelPath is not null)
    {
        Console.Error.WriteLine(Usage);
        return 2;
    }
    else
    {
        modelPath = args[i];
    }
}

if (userFolder is null)
{
    string applicationData = Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify);
    if (applicationData.Length == 0)
    {
        Console.Error.WriteLine($"This user has no folder for application data; name one. {Usage}");
        return 2;
    }

    userFolder = Path.Combine(applicationData, "Vicuna.Managed.Desktop");
}

if (Console.IsInputRedirected || Console.IsOutputRedirected)
{
    Console.Error.WriteLine("This is a program for a terminal; its input or output is redirected. samples/Chat works with pipes.");
    return 2;
}

using IApplication app = Application.Create();
app.Init();

// The view models take the context of the thread that they are made on. Toolkits with windows have set theirs by now; this one has none in public.
SynchronizationContext.SetSynchronizationContext(new MainLoopContext(app));
using ChatWindow window = new(app, new MainViewModel(new DesktopOptions { UserFolder = userFolder }), modelPath);
using PosixSignalRegistration terminated = PosixSignalRegistration.Create(
    PosixSignal.SIGTERM,
    signal =>
    {
        signal.Cancel = true;
        app.Invoke(window.Quit);
    });
app.Run(window);
return 0;
