using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Samples.Tests.Desktop;

/// <summary>The terminal's front end, used as somebody at a keyboard would.</summary>
public sealed class TerminalWindowTests
{
    private const string Answer = "Three plus four is seven.";

    // The sample's own output: the copy beside the tests lacks what their framework has.
    private static readonly string Program = RepositoryFolder.Find(
        Path.Combine("samples/Desktop/bin", new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name, "net10.0", "Desktop.dll"));

    [Fact]
    public async Task Window_Answers_KeepsConversations_AndEnds()
    {
        using TempFolder user = new();
        using (Terminal terminal = new(80, 24, Program, "--user-folder", user.Path))
        {
            string screen = await terminal.Until("pico-vicuna, 2.0 M parameters");
            Assert.Contains("New conversation", screen, StringComparison.Ordinal);
            Assert.Contains("Ctrl+Q", screen, StringComparison.Ordinal);

            terminal.Press("F5");
            await terminal.Until("Temperature");
            terminal.Type("-1");
            terminal.Press("Enter");
            await terminal.Until("Temperature: 0 to 100.");
            terminal.Press("Home", "Delete", "Delete", "0", "Enter");
            await terminal.Until(text => !text.Contains("Temperature", StringComparison.Ordinal), "a closed dialog");

            terminal.Type("What is 3 plus 4?");
            terminal.Press("Enter");
            await terminal.Until(Answer);
            await terminal.Until("tokens/s, first after");

            terminal.Press("F2");
            await terminal.Until(text => !text.Contains(Answer, StringComparison.Ordinal), "an empty conversation");
            terminal.Type("What sound does a frog make?");
            terminal.Press("Enter");
            await terminal.Until("A frog says croak.");
            terminal.Press("Down");
            await terminal.Until(Answer);
            terminal.Resize(120, 30);
            await terminal.Until(text => text.Contains(Answer, StringComparison.Ordinal) && text.Split('\n')[0].TrimEnd().Length == 120, "a wider window");

            terminal.Press("F4");
            await terminal.Until("Folder or .gguf file");
            terminal.Type("no-such-model");
            terminal.Press("Enter");
            await terminal.Until("no-such-model could not be loaded. Not found");
            Assert.Null(terminal.ExitCode);

            terminal.Press("Escape");
            await terminal.Until(text => !text.Contains("Not found", StringComparison.Ordinal), "an error put away");

            terminal.Press("C-q");
            await terminal.Until(_ => terminal.ExitCode is not null, "the end");
            Assert.Equal(0, terminal.ExitCode);
        }

        Assert.Equal(2, Directory.GetFiles(user.File("conversations"), "*.json").Length);
        Assert.Contains("\"temperature\": 0", File.ReadAllText(user.File("settings.json")), StringComparison.Ordinal);

        using Terminal again = new(100, 30, Program, "--user-folder", user.Path);
        string restored = await again.Until("What is 3 plus 4?");
        Assert.Contains("What sound does a frog make?", restored, StringComparison.Ordinal);
    }
}
