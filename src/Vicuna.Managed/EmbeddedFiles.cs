using System.Reflection;

namespace Vicuna.Managed;

/// <summary>Reads a model that was embedded in an assembly as resources.</summary>
public static class EmbeddedFiles
{
    /// <summary>Reads all resources whose names begin with a prefix.</summary>
    /// <param name="assembly">The assembly.</param>
    /// <param name="prefix">Beginning of the resources' names, for example <c>pico-vicuna/</c>; the rest is the file name.</param>
    /// <returns>The files by name, for <see cref="LanguageModel.LoadFiles"/>.</returns>
    /// <exception cref="FileNotFoundException">There is no such resource.</exception>
    public static IReadOnlyDictionary<string, ReadOnlyMemory<byte>> Read(Assembly assembly, string prefix)
    {
        ArgumentNullException.ThrowIfNull(assembly);
        ArgumentException.ThrowIfNullOrEmpty(prefix);
        Dictionary<string, ReadOnlyMemory<byte>> files = new(StringComparer.Ordinal);
        foreach (string name in assembly.GetManifestResourceNames().Where(name => name.StartsWith(prefix, StringComparison.Ordinal)))
        {
            using Stream stream = assembly.GetManifestResourceStream(name)!;
            byte[] bytes = new byte[stream.Length];
            stream.ReadExactly(bytes);
            files.Add(name[prefix.Length..], bytes);
        }

        return files.Count > 0 ? files : throw new FileNotFoundException($"{assembly.GetName().Name} has no resources whose names begin with '{prefix}'.");
    }
}
