using Vicuna.Managed.Checkpoints;
using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Models;
using Vicuna.Managed.Weights;

namespace Vicuna.Managed;

/// <content>Loading: options checked, checkpoint opened, weights bound and packed.</content>
public sealed partial class LanguageModel
{
    private const int MaxThreads = 1024;

    private static LanguageModel Load(LoadOptions? options, Func<TensorSetOptions, Checkpoint> open, CancellationToken cancellationToken)
    {
        options ??= new LoadOptions();
        Check(options.Threads, 1, MaxThreads, nameof(options.Threads));
        Check(options.PrefillThreads, 1, MaxThreads, nameof(options.PrefillThreads));
        Check(options.ContextLength, 2, int.MaxValue, nameof(options.ContextLength));
        if (!Enum.IsDefined(options.KeyValueType))
        {
            throw new ArgumentOutOfRangeException(nameof(options), options.KeyValueType, "Not a storage type of keys and values.");
        }

        if (!Enum.IsDefined(options.Quantization))
        {
            throw new ArgumentOutOfRangeException(nameof(options), options.Quantization, "Not a quantization.");
        }

        if (options.ExactProducts && options.Quantization != Quantization.None)
        {
            throw new ArgumentException(
                $"{nameof(LoadOptions.ExactProducts)} and {nameof(LoadOptions.Quantization)}: expected one of them; quantized weights have no exact products, "
                + $"found true and {options.Quantization}.",
                nameof(options));
        }

        IsaTier tier = options.InstructionSet switch
        {
            InstructionSet.Best => IsaTiers.Best,
            InstructionSet.Scalar => IsaTier.Scalar,
            InstructionSet.Avx2 => IsaTiers.Require(IsaTier.Avx2),
            InstructionSet.Avx512 => IsaTiers.Require(IsaTier.Avx512),
            _ => throw new ArgumentOutOfRangeException(nameof(options), options.InstructionSet, "Not an instruction set."),
        };
        IProgress<LoadProgress>? progress = options.Progress;
        TensorSetOptions tensorOptions = new()
        {
            HugePages = options.HugePages,
            AllowSymlinks = options.AllowSymbolicLinks,
            Progress = progress is null ? null : (file, done, total) => progress.Report(new LoadProgress(file, done, total)),
        };
        // Packing copies what it packs, and then the rest: only weights of which none is packed are copied as they are. Which they are, the files tell.
        Checkpoint checkpoint = open(options.CopyToMemory ? tensorOptions with { Progress = null } : tensorOptions);
        if (options.CopyToMemory && !CopiesByMatrix(checkpoint, options))
        {
            checkpoint.Dispose();
            checkpoint = open(tensorOptions with { Resident = true });
        }

        try
        {
            if (options.RemovedBlocks is { Count: > 0 } removed)
            {
                checkpoint = checkpoint.Without(new BlockCut(removed, checkpoint.Config.NumHiddenLayers));
            }

            Check(options.ContextLength, 2, checkpoint.Config.MaxPositionEmbeddings, nameof(options.ContextLength));
            return new LanguageModel(checkpoint, options, tier, cancellationToken);
        }
        catch
        {
            checkpoint.Dispose();
            throw;
        }
    }

    private static int ThreadsOf(LoadOptions options) => options.Threads ?? Math.Min(Environment.ProcessorCount, MaxThreads);

    private static bool Packs(Checkpoint checkpoint, LoadOptions options) => LoadedWeights.Packs(
        checkpoint.Config, checkpoint.Tensors.Tensors.Values.Select(tensor => tensor.Info), options.Quantization, options.ExactProducts);

    // Files of which a part is left out are not copied as a whole either.
    private static bool CopiesByMatrix(Checkpoint checkpoint, LoadOptions options) =>
        Packs(checkpoint, options) || (options.CopyToMemory && options.RemovedBlocks is { Count: > 0 });

    private static DecoderWeights Bind(Checkpoint checkpoint, LoadOptions options, IsaTier tier, CancellationToken cancellationToken)
    {
        DecoderWeights weights = DecoderWeights.Bind(checkpoint.Config, checkpoint.Tensors.Tensors, checkpoint.Name, tier, checkpoint.RopeStyle);
        if (!CopiesByMatrix(checkpoint, options))
        {
            return weights;
        }

        Action<string, long, long>? report = options.Progress is { } progress
            ? (name, done, total) => progress.Report(new LoadProgress(name, done, total))
            : null;
        int threads = Math.Max(ThreadsOf(options), options.PrefillThreads ?? 1);
        using WeightPacker packer = new(
            checkpoint.Config, options.Quantization, options.ExactProducts, tier, threads, options.HugePages, report, cancellationToken);
        DecoderWeights packed = packer.Pack(weights, checkpoint.Name, options.CopyToMemory);
        if (options.CopyToMemory)
        {
            // Nothing needs the files any more.
            checkpoint.Tensors.Dispose();
        }

        return packed;
    }

    private static void Check(int? value, int least, int most, string name)
    {
        if (value < least || value > most)
        {
            throw new ArgumentOutOfRangeException(name, value, $"{name}: expected {least} to {most}, found {value}.");
        }
    }
}
