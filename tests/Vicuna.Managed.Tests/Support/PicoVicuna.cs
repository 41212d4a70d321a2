using System.Text.Json;

namespace Vicuna.Managed.Tests.Support;

/// <summary>The embedded model and its goldens: on every machine.</summary>
internal static class PicoVicuna
{
    public static string Folder => RepositoryFolder.Find("samples/models/pico-vicuna");

    public static JsonDocument Golden() => JsonDocument.Parse(File.ReadAllBytes(RepositoryFolder.Find("tests/Vicuna.Managed.Tests/Golden/pico-vicuna.json")));
}
