using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Weights;

namespace Vicuna.Managed.Compression.Training;

/// <summary>
/// A training's state as a file: safetensors with the parameters (<c>value.</c>, f32), the optimizer's means (<c>mean.</c>, <c>square.</c>), the best
/// values so far (<c>best.</c>, where there are some), what was measured (<c>losses</c>, <c>gradient_norms</c>, <c>validation_losses</c>, f64;
/// <c>validation_steps</c>, i64), and as metadata the steps done, the settings of the run and a SHA-256 of all that. When the run is finished it
/// holds only the values that are kept. Nothing of it is trusted when it is read: the parameters and the state are changed only when all is found right.
/// </summary>
internal static class TrainingStateFile
{
    private const string Format = "vicuna training state 1";
    private const string FormatKey = "format";
    private const string StepKey = "step";
    private const string BestStepKey = "best step";
    private const string FinishedKey = "finished";
    private const string HashKey = "sha256";
    private const string SettingPrefix = "setting: ";

    /// <summary>Writes the state; the file appears under its name when it is whole.</summary>
    /// <param name="path">The file; one that is there is replaced.</param>
    /// <param name="parameters">The parameters.</param>
    /// <param name="state">The rest.</param>
    /// <param name="settings">What the run is known by.</param>
    /// <exception cref="IOException">The disk is full or gone.</exception>
    public static void Write(string path, IReadOnlyList<TrainableParameter> parameters, TrainingState state, IReadOnlyDictionary<string, string> settings)
    {
        List<Entry> entries = Entries(parameters, state, state.Validations.Count);
        SortedDictionary<string, string> metadata = new(StringComparer.Ordinal)
        {
            [FormatKey] = Format,
            [StepKey] = state.Step.ToString(CultureInfo.InvariantCulture),
            [BestStepKey] = state.BestStep.ToString(CultureInfo.InvariantCulture),
            [FinishedKey] = state.IsFinished ? "yes" : "no",
        };
        foreach ((string key, string value) in settings)
        {
            metadata[SettingPrefix + key] = value;
        }

        metadata[HashKey] = Hash(metadata, entries, entry => entry.Bytes);
        Dictionary<string, Entry> byName = entries.ToDictionary(entry => entry.Name);
        using SafetensorsWriter writer = SafetensorsWriter.Create(
            path, [.. entries.Select(entry => (entry.Name, entry.Type, entry.Shape))], metadata, overwrite: true);
        while (writer.Current is { } current)
        {
            writer.Write(byName[current.Name].Bytes);
        }

        writer.Commit();
    }

    /// <summary>Reads a state into the parameters and an empty state.</summary>
    /// <param name="file">The whole file.</param>
    /// <param name="name">Its name, for messages.</param>
    /// <param name="parameters">Receive their values.</param>
    /// <param name="state">Receives the rest; as it was before the first step.</param>
    /// <param name="settings">What the run is known by.</param>
    /// <param name="steps">Steps of the run in all.</param>
    /// <exception cref="ModelFormatException">The file is damaged, or of a run with other settings.</exception>
    public static void Read(
        ByteRegion file, string name, IReadOnlyList<TrainableParameter> parameters, TrainingState state, IReadOnlyDictionary<string, string> settings, int steps)
    {
        IReadOnlyList<StoredTensor> tensors = SafetensorsFile.Read(file, name, out IReadOnlyDictionary<string, string> metadata);
        if (metadata.GetValueOrDefault(FormatKey) != Format)
        {
            throw new ModelFormatException(name, $"expected a training's state ('{Format}'), found {Shown(metadata.GetValueOrDefault(FormatKey))}", null);
        }

        CheckSettings(name, metadata, settings);
        int step = Number(name, metadata, StepKey, 0, steps);
        int bestStep = Number(name, metadata, BestStepKey, -1, step);
        bool finished = metadata.GetValueOrDefault(FinishedKey) switch
        {
            "yes" when step == steps => true,
            "no" => false,
            string other => throw new ModelFormatException(name, $"expected no, or yes after step {steps}, found {Shown(other)} after step {step}", FinishedKey),
            null => throw new ModelFormatException(name, "expected yes or no, found nothing", FinishedKey),
        };
        Dictionary<string, StoredTensor> byName = tensors.ToDictionary(tensor => tensor.Info.Name);
        long validations = byName.GetValueOrDefault("validation_steps")?.Info.ElementCount ?? 0;
        if (validations > step + 1L || (validations > 0) != (bestStep >= 0))
        {
            throw new ModelFormatException(name, $"expected at most {step + 1L} measurements, one or more where there is a best step, found {validations}", "validation_steps");
        }

        using TrainingState read = new(parameters) { BestStep = bestStep, IsFinished = finished };
        read.Losses.AddRange(new double[step]);
        List<Entry> entries = Entries(parameters, read, (int)validations);
        CheckTensors(name, entries, byName);
        string hash = Hash(metadata, entries, entry => Bytes(entry.Name));
        if (metadata.GetValueOrDefault(HashKey) != hash)
        {
            throw new ModelFormatException(name, $"expected contents with the checksum {Shown(metadata.GetValueOrDefault(HashKey))}, found {hash}: the file is damaged", null);
        }

        double[] losses = Doubles("losses");
        double[] norms = Doubles("gradient_norms");
        long[] at = MemoryMarshal.Cast<byte, long>(Bytes("validation_steps")).ToArray();
        ValidationLoss[] measured = [.. at.Zip(Doubles("validation_losses"), (measuredAt, loss) => new ValidationLoss((int)Math.Clamp(measuredAt, -1, int.MaxValue), loss))];
        CheckMeasurements(name, losses.Concat(norms), measured, step, bestStep);

        // All is right: from here on nothing can fail.
        state.Losses.AddRange(losses);
        state.GradientNorms.AddRange(norms);
        state.Validations.AddRange(measured);
        state.BestStep = bestStep;
        state.IsFinished = finished;
        foreach (Entry entry in Entries(parameters, state, measured.Length).Where(entry => entry.Block is not null))
        {
            Bytes(entry.Name).CopyTo(entry.Block!.Writable(0, (int)entry.Block.Length));
        }

        ReadOnlySpan<byte> Bytes(string tensor) => byName[tensor].Region.Bytes(0, (int)byName[tensor].Region.Length);
        double[] Doubles(string tensor) => MemoryMarshal.Cast<byte, double>(Bytes(tensor)).ToArray();
    }

    private static void CheckSettings(string name, IReadOnlyDictionary<string, string> metadata, IReadOnlyDictionary<string, string> settings)
    {
        foreach ((string key, string value) in settings)
        {
            string? found = metadata.GetValueOrDefault(SettingPrefix + key);
            if (found != value)
            {
                throw new ModelFormatException(
                    name, $"expected {Shown(value)}, found {Shown(found)}: the training in this folder was begun differently; resume it as it was begun, or train in another folder", key);
            }
        }

        string? unknown = metadata.Keys.FirstOrDefault(key => key.StartsWith(SettingPrefix, StringComparison.Ordinal) && !settings.ContainsKey(key[SettingPrefix.Length..]));
        if (unknown is not null)
        {
            throw new ModelFormatException(name, $"expected no such setting, found {Shown(metadata[unknown])}: it is the state of another kind of training", unknown[SettingPrefix.Length..]);
        }
    }

    private static void CheckTensors(string name, List<Entry> entries, Dictionary<string, StoredTensor> found)
    {
        foreach (Entry entry in entries)
        {
            TensorInfo? info = found.GetValueOrDefault(entry.Name)?.Info;
            if (info is null || info.Type != entry.Type || !info.Shape.AsSpan().SequenceEqual(entry.Shape))
            {
                throw new ModelFormatException(
                    name, $"expected {entry.Type} [{string.Join(", ", entry.Shape)}], found {(info is null ? "nothing" : $"{info.Type} {info.ShapeText}")}", entry.Name);
            }
        }

        if (found.Count != entries.Count)
        {
            HashSet<string> expected = [.. entries.Select(entry => entry.Name)];
            throw new ModelFormatException(name, $"expected {entries.Count} tensors, found {found.Count}", found.Keys.First(key => !expected.Contains(key)));
        }
    }

    private static void CheckMeasurements(string name, IEnumerable<double> losses, ValidationLoss[] measured, int step, int bestStep)
    {
        if (!losses.Concat(measured.Select(validation => validation.Loss)).All(double.IsFinite))
        {
            throw new ModelFormatException(name, "expected finite losses and gradient norms, found others", "losses");
        }

        for (int i = 0; i < measured.Length; i++)
        {
            if (measured[i].Step < 0 || measured[i].Step > step || (i > 0 && measured[i].Step <= measured[i - 1].Step))
            {
                throw new ModelFormatException(name, $"expected rising steps of 0 to {step}, found {measured[i].Step}", "validation_steps");
            }
        }

        if (measured.Length > 0 && measured.MinBy(validation => validation.Loss)!.Step != bestStep)
        {
            throw new ModelFormatException(name, $"expected the step of the lowest loss, found {bestStep}", BestStepKey);
        }
    }

    // What a file holds. A finished run has no further use for anything but the values that are kept.
    private static List<Entry> Entries(IReadOnlyList<TrainableParameter> parameters, TrainingState state, int validations)
    {
        List<Entry> entries =
        [
            Measured("losses", TensorType.F64, state.Step, [.. state.Losses]),
            Measured("gradient_norms", TensorType.F64, state.Step, [.. state.GradientNorms]),
            Measured("validation_steps", TensorType.I64, validations, state.Validations.Select(validation => (long)validation.Step).ToArray()),
            Measured("validation_losses", TensorType.F64, validations, state.Validations.Select(validation => validation.Loss).ToArray()),
        ];
        for (int i = 0; i < parameters.Count; i++)
        {
            string name = parameters[i].Name;
            long[] shape = [.. parameters[i].Shape];
            if (!state.IsFinished)
            {
                entries.Add(new($"mean.{name}", TensorType.F32, shape, state.Means[i]));
                entries.Add(new($"square.{name}", TensorType.F32, shape, state.Squares[i]));
            }

            if (!state.IsFinished || state.BestStep < 0)
            {
                entries.Add(new($"value.{name}", TensorType.F32, shape, parameters[i].Value));
            }

            if (state.BestStep >= 0)
            {
                entries.Add(new($"best.{name}", TensorType.F32, shape, state.Best[i]));
            }
        }

        entries.Sort(static (a, b) => string.CompareOrdinal(a.Name, b.Name));
        return entries;
    }

    private static int Number(string file, IReadOnlyDictionary<string, string> metadata, string key, int least, int most)
    {
        string? text = metadata.GetValueOrDefault(key);
        return int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int value) && value >= least && value <= most
            ? value
            : throw new ModelFormatException(file, $"expected {least} to {most}, found {Shown(text)}", key);
    }

    private static string Shown(string? text) => text is null ? "nothing" : ModelFormatException.Quote(text);

    private static Entry Measured<T>(string name, TensorType type, int count, T[] numbers)
        where T : unmanaged => new(name, type, [count], Numbers: MemoryMarshal.AsBytes(numbers.AsSpan()).ToArray());

    // Over everything in the order of names, which is the same whatever the file's own order.
    private static string Hash(IReadOnlyDictionary<string, string> metadata, List<Entry> entries, Func<Entry, ReadOnlySpan<byte>> bytes)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach ((string key, string value) in metadata.Where(pair => pair.Key != HashKey).OrderBy(pair => pair.Key, StringComparer.Ordinal))
        {
            hash.AppendData(Encoding.UTF8.GetBytes($"{key}={value}\n"));
        }

        foreach (Entry entry in entries)
        {
            hash.AppendData(Encoding.UTF8.GetBytes($"{entry.Name}\n"));
            hash.AppendData(bytes(entry));
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private sealed record Entry(string Name, TensorType Type, long[] Shape, AlignedBuffer? Block = null, byte[]? Numbers = null)
    {
        public ReadOnlySpan<byte> Bytes => Block is null ? Numbers : Block.Bytes(0, (int)Block.Length);
    }
}
