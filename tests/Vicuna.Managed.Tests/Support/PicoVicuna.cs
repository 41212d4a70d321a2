using System.Text.Json;

namespace Vicuna.Managed.Tests.Support;

/// <summary>
/// The embedded model, on every machine, with what it is examined with: samples/PicoVicuna makes them together. Beside it an earlier one that
/// does not change, and values of an independent implementation for that one: in the shared folder.
/// </summary>
internal static class PicoVicuna
{
    public static string Folder => RepositoryFolder.Find("samples/models/pico-vicuna");

    /// <summary>The model that <see cref="Golden"/> is about; skips the calling test where it is missing.</summary>
    public static string GoldenFolder => SharedFolder.Require("models/pico-vicuna");

    public static JsonDocument Golden() => JsonDocument.Parse(File.ReadAllBytes(SharedFolder.Require("goldens/pico-vicuna.json")));

    /// <summary>Questions to the embedded model, with their right answers.</summary>
    public static (string Question, string Answer)[] Questions()
    {
        using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(RepositoryFolder.Find("samples/models/questions.json")));
        return [.. json.RootElement.EnumerateArray().Select(item => (item.GetProperty("question").GetString()!, item.GetProperty("answer").GetString()!))];
    }

    /// <summary>Ids of texts that the embedded model was not trained on, with BOS and EOS.</summary>
    public static int[][] HeldOut()
    {
        using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(RepositoryFolder.Find("samples/models/held-out.json")));
        return [.. json.RootElement.EnumerateArray().Select(row => row.EnumerateArray().Select(id => id.GetInt32()).ToArray())];
    }
}
