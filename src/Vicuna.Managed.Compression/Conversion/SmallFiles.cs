namespace Vicuna.Managed.Compression.Conversion;

/// <summary>The files of a checkpoint that are neither weights nor its configuration: tokenizer, licence, generation defaults, whatever else is small.</summary>
internal static class SmallFiles
{
    private const string ConfigFile = "config.json";
    private const long MaxFileBytes = 64 << 20;
    private const int MaxFiles = 1000;

    private static readonly string[] WeightSuffixes =
    [
        ".safetensors", ".bin", ".pt", ".pth", ".gguf", ".h5", ".msgpack", ".onnx", ".ot", ".npz", ".index.json",
    ];

    /// <summary>The files, in order of name: at most 1,000, each of at most 64 MB; hidden ones and folders are left out.</summary>
    /// <param name="folder">The checkpoint's folder.</param>
    public static IReadOnlyList<FileInfo> Of(string folder) =>
    [
        .. new DirectoryInfo(folder).EnumerateFiles()
            .Where(file => file.Name != ConfigFile && !file.Name.StartsWith('.'))
            .Where(file => !WeightSuffixes.Any(suffix => file.Name.EndsWith(suffix, StringComparison.OrdinalIgnoreCase)))
            .Select(file => file.ResolveLinkTarget(returnFinalTarget: true) is FileInfo target ? (file.Name, Target: target) : (file.Name, Target: file))
            .Where(file => file.Target.Exists && file.Target.Length <= MaxFileBytes)
            .Select(file => new FileInfo(Path.Combine(folder, file.Name)))
            .OrderBy(file => file.Name, StringComparer.Ordinal)
            .Take(MaxFiles),
    ];

    /// <summary>Copies files, through links: not their permissions, which may forbid writing.</summary>
    /// <param name="files">The files.</param>
    /// <param name="folder">Where to.</param>
    /// <exception cref="IOException">One cannot be read or written.</exception>
    public static void Copy(IEnumerable<FileInfo> files, string folder)
    {
        foreach (FileInfo file in files)
        {
            File.WriteAllBytes(Path.Combine(folder, file.Name), File.ReadAllBytes(file.FullName));
        }
    }
}
