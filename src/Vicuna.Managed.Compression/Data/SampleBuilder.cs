using System.Text.Json;
using System.Text.Unicode;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Weights;

namespace Vicuna.Managed.Compression.Data;

/// <summary>Collects the samples of a file, and counts what becomes of its records.</summary>
internal sealed class SampleBuilder(string file, TrainingDataKind kind, TrainingDataOptions options)
{
    // Conversations nest four deep; the rest is for fields that are passed over.
    private const int MaxDepth = 32;

    private static readonly JsonDocumentOptions Strict = new() { MaxDepth = MaxDepth, AllowDuplicateProperties = false };

    private readonly List<TrainingSample> _samples = [];
    private int _records;
    private int _broken;
    private int _withoutTargets;
    private int _cut;

    /// <summary>Most tokens of a sample.</summary>
    public int Cutoff => options.CutoffTokens;

    /// <summary>Reads a record: a JSON object.</summary>
    /// <param name="region">The whole file.</param>
    /// <param name="record">Where the record lies.</param>
    /// <param name="read">Makes it a sample by <see cref="Add"/>, or throws <see cref="ModelFormatException"/>.</param>
    /// <exception cref="ModelFormatException">The record is damaged, and such records are not to be skipped.</exception>
    public void Read(ByteRegion region, JsonRecord record, Action<JsonElement> read)
    {
        _records++;
        try
        {
            using JsonDocument document = Parse(region, record);
            read(document.RootElement);
        }
        catch (Exception e) when (options.SkipBroken && (e is ModelFormatException || StrictJson.IsBadJson(e)))
        {
            _broken++;
        }
        catch (ModelFormatException e)
        {
            throw new ModelFormatException(file, $"{record.Place}: {e.Message}", null, e);
        }
        catch (Exception e) when (StrictJson.IsBadJson(e))
        {
            throw new ModelFormatException(file, $"{record.Place}: expected a JSON object, found damaged JSON ({e.Message.ReplaceLineEndings(" ")})", null, e);
        }
    }

    /// <summary>Adds a sample, cut to its greatest length, unless nothing of it is to be predicted.</summary>
    /// <param name="ids">Token ids, <c>[T]</c>, T of any size.</param>
    /// <param name="isTarget">Whether a token is to be predicted, <c>[T]</c>; not asked of the first.</param>
    public void Add(IReadOnlyList<int> ids, Func<int, bool> isTarget)
    {
        int count = Math.Min(ids.Count, Cutoff);
        _cut += ids.Count > count ? 1 : 0;
        bool[] targets = [.. Enumerable.Range(0, count).Select(i => i > 0 && isTarget(i))];
        if (targets.Contains(true))
        {
            _samples.Add(new TrainingSample([.. ids.Take(count)], targets));
        }
        else
        {
            _withoutTargets++;
        }
    }

    /// <summary>Adds a sample that is a record of its own.</summary>
    public void AddRecord(IReadOnlyList<int> ids, Func<int, bool> isTarget)
    {
        _records++;
        Add(ids, isTarget);
    }

    /// <summary>Counts a record from which no sample can be made.</summary>
    public void AddNothing() => _withoutTargets++;

    /// <summary>The samples.</summary>
    public TrainingSet Build() => new()
    {
        Samples = _samples,
        Kind = kind,
        Records = _records,
        Broken = _broken,
        WithoutTargets = _withoutTargets,
        Cut = _cut,
    };

    private static JsonDocument Parse(ByteRegion region, JsonRecord record)
    {
        byte[] bytes = region.Bytes(record.Offset, record.Length).ToArray();
        if (!Utf8.IsValid(bytes))
        {
            throw new ModelFormatException("expected UTF-8, found other bytes");
        }

        JsonDocument document = JsonDocument.Parse(bytes, Strict);
        if (document.RootElement.ValueKind == JsonValueKind.Object)
        {
            return document;
        }

        JsonValueKind found = document.RootElement.ValueKind;
        document.Dispose();
        throw new ModelFormatException($"expected a JSON object, found {found}");
    }
}
