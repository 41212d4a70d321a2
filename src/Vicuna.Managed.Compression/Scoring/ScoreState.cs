using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Weights;

namespace Vicuna.Managed.Compression.Scoring;

/// <summary>
/// What an interrupted run keeps: a safetensors file with the scores so far in its metadata and, for Taylor, the gradient of the residual stream at the
/// block that is next. It belongs to one model, criterion and set of samples, and is refused by any other.
/// </summary>
internal sealed class ScoreState
{
    private const string Tensor = "gradient";
    private const string KeyEntry = "key";
    private const string NextEntry = "next";
    private const string ScoresEntry = "scores";

    private readonly string? _path;
    private readonly string _key;

    private ScoreState(string? path, string key)
    {
        _path = path;
        _key = key;
    }

    /// <summary>Scores that are finished, by name.</summary>
    public Dictionary<string, double> Scores { get; } = new(StringComparer.Ordinal);

    /// <summary>The block that is next; null where nothing was kept.</summary>
    public int? Next { get; private set; }

    /// <summary>Reads what is there, or begins.</summary>
    /// <param name="path">The file; null for none.</param>
    /// <param name="model">The model.</param>
    /// <param name="criterion">What is measured.</param>
    /// <param name="samples">What it is measured on.</param>
    /// <param name="gradient">Receives the gradient that was kept, f32 <c>[T, D]</c>; null where the criterion needs none.</param>
    /// <exception cref="ModelFormatException">The file is damaged, or belongs to another run.</exception>
    public static ScoreState Open(string? path, LanguageModel model, ScoreCriterion criterion, IReadOnlyList<TrainingSample> samples, AlignedBuffer? gradient)
    {
        ScoreState state = new(path, KeyOf(model, criterion, samples));
        if (path is not null && File.Exists(path))
        {
            using MappedFile file = MappedFile.Open(path);
            state.Read(new ByteRegion(file, 0, file.Length), Path.GetFileName(path), model.Config.NumHiddenLayers, gradient);
        }

        return state;
    }

    /// <summary>Keeps what is finished.</summary>
    /// <param name="next">The block that is next.</param>
    /// <param name="gradient">The gradient there, f32 <c>[T, D]</c>; null where the criterion needs none.</param>
    /// <param name="elements">Elements of it that count.</param>
    /// <exception cref="IOException">The disk is full or gone.</exception>
    public void Save(int next, AlignedBuffer? gradient, int elements)
    {
        if (_path is null)
        {
            return;
        }

        Dictionary<string, string> metadata = new(StringComparer.Ordinal)
        {
            [KeyEntry] = _key,
            [NextEntry] = next.ToString(CultureInfo.InvariantCulture),
            [ScoresEntry] = string.Join('\n', Scores.Select(score => string.Create(CultureInfo.InvariantCulture, $"{score.Key}={score.Value:R}"))),
        };
        (string, TensorType, long[])[] tensors = gradient is null ? [] : [(Tensor, TensorType.F32, [elements])];
        using SafetensorsWriter writer = SafetensorsWriter.Create(_path, tensors, metadata, overwrite: true);
        if (gradient is not null)
        {
            writer.Write(MemoryMarshal.AsBytes(gradient.Floats(0, elements)));
        }

        writer.Commit();
    }

    /// <summary>Deletes the file: all is done.</summary>
    public void Delete()
    {
        if (_path is not null)
        {
            File.Delete(_path);
        }
    }

    private static string KeyOf(LanguageModel model, ScoreCriterion criterion, IReadOnlyList<TrainingSample> samples)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(model.Decoder.Fingerprint);
        hash.AppendData(Encoding.UTF8.GetBytes(criterion.ToString()));
        foreach (TrainingSample sample in samples)
        {
            hash.AppendData(MemoryMarshal.AsBytes<int>([sample.Ids.Count, .. sample.Ids]));
        }

        return Convert.ToHexString(hash.GetHashAndReset());
    }

    private void Read(ByteRegion file, string name, int layers, AlignedBuffer? gradient)
    {
        IReadOnlyList<StoredTensor> tensors = SafetensorsFile.Read(file, name, out IReadOnlyDictionary<string, string> metadata);
        if (!metadata.TryGetValue(KeyEntry, out string? key) || !metadata.TryGetValue(NextEntry, out string? next) || !metadata.TryGetValue(ScoresEntry, out string? scores)
            || !int.TryParse(next, NumberStyles.None, CultureInfo.InvariantCulture, out int block) || block > layers)
        {
            throw new ModelFormatException(name, "expected the progress of a scoring run, found something else", item: null);
        }

        if (key != _key)
        {
            throw new ModelFormatException(name, "expected the progress of this run, found that of another model, criterion or set of samples; delete it to begin anew", item: null);
        }

        foreach (string line in scores.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            int equals = line.IndexOf('=', StringComparison.Ordinal);
            if (equals < 1 || !double.TryParse(line.AsSpan(equals + 1), NumberStyles.Float, CultureInfo.InvariantCulture, out double score))
            {
                throw new ModelFormatException(name, $"expected name=score, found {ModelFormatException.Quote(line)}", item: null);
            }

            Scores[line[..equals]] = score;
        }

        if (gradient is not null)
        {
            StoredTensor stored = tensors.Count == 1 && tensors[0].Info.Type == TensorType.F32 && tensors[0].Region.Length <= gradient.Length
                ? tensors[0]
                : throw new ModelFormatException(name, $"expected one F32 tensor of up to {gradient.Length} bytes", Tensor);
            stored.Region.Bytes(0, checked((int)stored.Region.Length)).CopyTo(gradient.Writable(0, checked((int)stored.Region.Length)));
        }

        Next = block;
    }
}
