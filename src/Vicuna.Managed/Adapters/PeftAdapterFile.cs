using System.Runtime.InteropServices;
using Vicuna.Managed.Checkpoints;
using Vicuna.Managed.Kernels.Formats;
using Vicuna.Managed.Models;
using Vicuna.Managed.Weights;
using Vicuna.Managed.Weights.Torch;

namespace Vicuna.Managed.Adapters;

/// <summary>
/// A LoRA adapter's folder as Hugging Face's PEFT writes it: <c>adapter_config.json</c> and <c>adapter_model.safetensors</c> (or, from older versions,
/// <c>adapter_model.bin</c>).
/// </summary>
internal static class PeftAdapterFile
{
    /// <summary>The file that makes a folder an adapter.</summary>
    public const string ConfigFile = "adapter_config.json";

    private const string TensorsFile = "adapter_model.safetensors";
    private const int MaxConfigBytes = 1 << 20;

    // A span of bytes holds any factor.
    private const long MaxElements = int.MaxValue / sizeof(float);

    private static readonly CheckpointLayout Safetensors = new(TensorsFile, TensorsFile + ".index.json", ".safetensors", SafetensorsFile.Read);

    private static readonly CheckpointLayout Torch = new(
        "adapter_model.bin", "adapter_model.bin.index.json", ".bin", static (file, fileName) => TorchFile.Read(file, fileName));

    /// <summary>Reads an adapter. Where both kinds of tensor file are there, safetensors are taken, as PEFT does.</summary>
    /// <param name="folder">The adapter's folder.</param>
    /// <returns>The adapter, its pairs by block and then in the order of <see cref="BlockMatrix"/>.</returns>
    /// <exception cref="ModelFormatException">A file is missing, damaged or hostile, or the adapter is of a kind that is not supported.</exception>
    public static PeftAdapter Read(string folder)
    {
        FolderSource files = new(folder, allowSymbolicLinks: true);
        PeftConfig config = PeftConfigFile.Read(files.Read(ConfigFile, MaxConfigBytes), ConfigFile);
        bool isTorch = files.Exists(Torch.SingleFile) && !files.Exists(Safetensors.SingleFile) && !files.Exists(Safetensors.IndexFile);
        using TensorSet tensors = files.OpenTensors(isTorch ? Torch : Safetensors, new TensorSetOptions(), CancellationToken.None);
        return Assemble(config, tensors.Tensors.Values, tensors.FileBytes);
    }

    /// <summary>Brings settings and tensors together.</summary>
    /// <param name="config">The settings.</param>
    /// <param name="tensors">The tensors, of any names.</param>
    /// <param name="fileBytes">Bytes of the files that hold them: tensors that share bytes must not ask for more memory than that.</param>
    /// <exception cref="ModelFormatException">A tensor is not a factor, stands alone, or has another shape or type than it should.</exception>
    internal static PeftAdapter Assemble(PeftConfig config, IEnumerable<StoredTensor> tensors, long fileBytes)
    {
        SortedDictionary<(int Layer, BlockMatrix Matrix), (StoredTensor? A, StoredTensor? B)> found = [];
        long bytes = 0;
        foreach (StoredTensor tensor in tensors)
        {
            TensorInfo info = tensor.Info;
            if (!PeftTensorName.TryParse(info.Name, out PeftTensorName name))
            {
                throw new ModelFormatException(
                    info.FileName,
                    $"expected a name like {new PeftTensorName(0, BlockMatrix.Query, false)}, of one of {string.Join(", ", BlockMatrices.Names)}; "
                        + "an adapter of anything else is not supported",
                    info.Name);
            }

            (int, BlockMatrix) key = (name.Layer, name.Matrix);
            (StoredTensor? A, StoredTensor? B) pair = found.GetValueOrDefault(key);
            if ((name.IsB ? pair.B : pair.A) is { } other)
            {
                throw new ModelFormatException(info.FileName, $"expected each factor once, found {ModelFormatException.Quote(other.Info.Name)} too", info.Name);
            }

            bytes += info.ByteLength;
            if (bytes > fileBytes)
            {
                throw new ModelFormatException(info.FileName, $"expected tensors of at most the {fileBytes} bytes of their files, found {bytes}", info.Name);
            }

            found[key] = name.IsB ? (pair.A, tensor) : (tensor, pair.B);
        }

        List<LoraPair> pairs = [];
        foreach (((int layer, BlockMatrix matrix), (StoredTensor? a, StoredTensor? b)) in found)
        {
            if (a is null || b is null)
            {
                StoredTensor only = (a ?? b)!;
                throw new ModelFormatException(
                    only.Info.FileName, $"expected {new PeftTensorName(layer, matrix, IsB: b is null)} with it, found none", only.Info.Name);
            }

            pairs.Add(new LoraPair(layer, BlockMatrices.NameOf(matrix), config.Rank, Factor(a, config.Rank, isB: false), Factor(b, config.Rank, isB: true)));
        }

        if (pairs.Count == 0)
        {
            throw new ModelFormatException(TensorsFile, "expected at least one pair of factors, found none", item: null);
        }

        return new PeftAdapter(config.TargetModules.Count > 0 ? config : config with { TargetModules = ModulesOf(pairs) }, pairs);
    }

    /// <summary>
    /// Writes an adapter, with factors in single precision, such that PEFT loads it; the same adapter gives the same bytes. Both files take their names
    /// when they are whole, the config last: a folder with a config is a whole adapter. An adapter that is there already is replaced.
    /// </summary>
    /// <param name="folder">Where; made if need be.</param>
    /// <param name="adapter">The adapter.</param>
    /// <exception cref="ArgumentException">A factor is not of the rank, or not finite, or there is none, or one stands twice.</exception>
    /// <exception cref="IOException">The folder cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder may not be written to.</exception>
    public static void Write(string folder, PeftAdapter adapter)
    {
        Dictionary<string, float[]> values = new(StringComparer.Ordinal);
        List<(string Name, TensorType Type, long[] Shape)> tensors = [];
        foreach (LoraPair pair in adapter.Pairs)
        {
            BlockMatrix matrix = Check(pair, adapter.Config);
            Add(new PeftTensorName(pair.Layer, matrix, IsB: false), [pair.Rank, pair.A.Length / pair.Rank], pair.A);
            Add(new PeftTensorName(pair.Layer, matrix, IsB: true), [pair.B.Length / pair.Rank, pair.Rank], pair.B);
        }

        if (tensors.Count == 0)
        {
            throw new ArgumentException("Expected at least one pair of factors, found none.", nameof(adapter));
        }

        PeftConfig config = adapter.Config.TargetModules.Count > 0 ? adapter.Config : adapter.Config with { TargetModules = ModulesOf(adapter.Pairs) };
        Directory.CreateDirectory(folder);
        using SafetensorsWriter writer = SafetensorsWriter.Create(
            Path.Combine(folder, TensorsFile), tensors, new Dictionary<string, string> { ["format"] = "pt" }, overwrite: true);
        while (writer.Current is { } current)
        {
            writer.Write(MemoryMarshal.AsBytes(values[current.Name].AsSpan()));
        }

        Publish(writer, Path.Combine(folder, ConfigFile), PeftConfigFile.Write(config));

        void Add(PeftTensorName name, long[] shape, float[] factor)
        {
            tensors.Add((name.ToString(), TensorType.F32, shape));
            values[name.ToString()] = factor;
        }
    }

    private static void Publish(SafetensorsWriter tensors, string configPath, byte[] config)
    {
        string temporary = $"{configPath}.{Path.GetRandomFileName()}.tmp";
        try
        {
            using (FileStream stream = new(temporary, FileMode.CreateNew, FileAccess.Write, FileShare.None))
            {
                stream.Write(config);
                stream.Flush(flushToDisk: true);
            }

            // New factors never stand beside another adapter's config.
            if (File.Exists(configPath) && !File.ReadAllBytes(configPath).AsSpan().SequenceEqual(config))
            {
                File.Delete(configPath);
            }

            tensors.Commit();
            File.Move(temporary, configPath, overwrite: true);
        }
        finally
        {
            File.Delete(temporary);
        }
    }

    private static BlockMatrix Check(LoraPair pair, PeftConfig config)
    {
        string problem = !BlockMatrices.TryFind(pair.Projection, out BlockMatrix matrix) ? "is not a projection of a block"
            : pair.Layer < 0 ? "has a negative block number"
            : pair.Rank != config.Rank || pair.Rank is < 1 or > PeftConfigFile.MaxRank ? $"has rank {pair.Rank}, the adapter {config.Rank}"
            : pair.A.Length == 0 || pair.B.Length == 0 || pair.A.Length % pair.Rank != 0 || pair.B.Length % pair.Rank != 0
                ? $"has factors of {pair.A.Length} and {pair.B.Length} elements, which are not rows of rank {pair.Rank}"
            : Math.Max(pair.A.Length, pair.B.Length) > MaxElements ? $"has a factor of more than {MaxElements} elements"
            : !IsFinite(pair.A) || !IsFinite(pair.B) ? "is not finite"
            : string.Empty;
        return problem.Length == 0 ? matrix : throw new ArgumentException($"{pair.Projection} of block {pair.Layer} {problem}.", nameof(pair));
    }

    // A is [r, in], B is [out, r].
    private static float[] Factor(StoredTensor tensor, int rank, bool isB)
    {
        TensorInfo info = tensor.Info;
        if (info.Shape is not [long rows, long columns] || (isB ? columns : rows) != rank || rows < 1 || columns < 1)
        {
            string expected = isB ? $"[out, {rank}]" : $"[{rank}, in]";
            throw new ModelFormatException(info.FileName, $"expected shape {expected} by r of {ConfigFile}, found {info.ShapeText}", info.Name);
        }

        if (info.Type is not (TensorType.F32 or TensorType.F16 or TensorType.BF16))
        {
            throw new ModelFormatException(info.FileName, $"expected F32, F16 or BF16, found {info.Type}", info.Name);
        }

        if (info.ElementCount > MaxElements)
        {
            throw new ModelFormatException(info.FileName, $"expected at most {MaxElements} elements, found {info.ElementCount}", info.Name);
        }

        float[] values = new float[(int)info.ElementCount];
        WeightFormats.Find(info.Type.ToString().ToLowerInvariant())!.Dequantize(tensor.Region.Bytes(0, (int)tensor.Region.Length), values);
        return IsFinite(values) ? values : throw new ModelFormatException(info.FileName, "expected finite numbers, found NaN or infinity", info.Name);
    }

    private static bool IsFinite(float[] values)
    {
        foreach (float value in values)
        {
            if (!float.IsFinite(value))
            {
                return false;
            }
        }

        return true;
    }

    // Names without their paths, in the order of the projections.
    private static string[] ModulesOf(IEnumerable<LoraPair> pairs)
    {
        HashSet<string> used = [.. pairs.Select(pair => pair.Projection)];
        return [.. BlockMatrices.Names.Where(used.Contains).Select(name => name[(name.IndexOf('.', StringComparison.Ordinal) + 1)..])];
    }
}
