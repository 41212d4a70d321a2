using System.Runtime.ExceptionServices;
using Vicuna.Managed.Models;
using Vicuna.Managed.Tokenization;
using Vicuna.Managed.Weights;

namespace Vicuna.Managed.Checkpoints;

/// <summary>
/// Writes checkpoints of real shapes with random F16 weights and a made-up vocabulary, as folders in Hugging Face's layout: what measurements of
/// speed and memory need, without a download. They generate finite nonsense. The same seed gives the same bytes.
/// </summary>
public static class SyntheticCheckpoint
{
    // Large enough to keep disk and processors busy, small enough to be no part of anyone's memory budget; two such buffers are in use.
    private const int ChunkBytes = 16 << 20;

    // What one thread fills at a time: a multiple of what one draw makes.
    private const int PartBytes = 1 << 20;

    // Config, index and tokenizer, generously.
    private const long OtherBytes = 64 << 20;

    private static readonly Dictionary<string, ModelConfig> Configs = new(StringComparer.Ordinal)
    {
        ["st-vicuna-5.5b"] = Llama(hidden: 4096, intermediate: 11008, layers: 26, heads: 32, keyValueHeads: 32, vocabulary: 32000, epsilon: 1e-6f),
        ["vicuna-7b"] = Llama(hidden: 4096, intermediate: 11008, layers: 32, heads: 32, keyValueHeads: 32, vocabulary: 32000, epsilon: 1e-6f),
        ["tinyllama-1.1b"] = Llama(hidden: 2048, intermediate: 5632, layers: 22, heads: 32, keyValueHeads: 4, vocabulary: 32000, epsilon: 1e-5f),
        ["tiny"] = Llama(hidden: 128, intermediate: 352, layers: 4, heads: 4, keyValueHeads: 2, vocabulary: 1024, epsilon: 1e-6f),
    };

    /// <summary>
    /// Names of the shapes: <c>st-vicuna-5.5b</c> (Vicuna 7B without 6 of its 32 blocks), <c>vicuna-7b</c>, <c>tinyllama-1.1b</c>, and
    /// <c>tiny</c>, of 2 MB, for tests.
    /// </summary>
    public static IReadOnlyList<string> Presets { get; } = [.. Configs.Keys];

    /// <summary>The shape of a preset.</summary>
    /// <param name="preset">One of <see cref="Presets"/>.</param>
    /// <returns>The shape.</returns>
    /// <exception cref="ArgumentException">There is no such preset.</exception>
    public static ModelConfig Config(string preset)
    {
        ArgumentNullException.ThrowIfNull(preset);
        return Configs.TryGetValue(preset, out ModelConfig? config)
            ? config
            : throw new ArgumentException($"Expected one of {string.Join(", ", Presets)}, found {ModelFormatException.Quote(preset)}.", nameof(preset));
    }

    /// <summary>Writes a checkpoint of a preset's shape.</summary>
    /// <param name="preset">One of <see cref="Presets"/>.</param>
    /// <param name="folder">Where; must not exist or be empty. It appears when all is written: a failed or cancelled call leaves nothing behind.</param>
    /// <param name="seed">Chooses the weights.</param>
    /// <param name="progress">Hears how many bytes of weights are written; called from the writing thread. Null for none.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <returns>What was written.</returns>
    /// <exception cref="ArgumentException">There is no such preset.</exception>
    /// <exception cref="IOException">The folder is not empty, the disk has no room for the checkpoint, or it cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder may not be written to.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static SyntheticCheckpointInfo Write(
        string preset, string folder, long seed = 0, IProgress<LoadProgress>? progress = null, CancellationToken cancellationToken = default) =>
        WriteSharded(Config(preset), folder, seed, WeightShards.MaxShardBytes, progress, cancellationToken);

    /// <summary>Writes a checkpoint of any shape.</summary>
    /// <param name="config">The shape. Its vocabulary has 354 to 1,000,000 ids; 1 and 2 are the tokenizer's <c>&lt;s&gt;</c> and <c>&lt;/s&gt;</c>.</param>
    /// <param name="folder">Where; must not exist or be empty. It appears when all is written: a failed or cancelled call leaves nothing behind.</param>
    /// <param name="seed">Chooses the weights.</param>
    /// <param name="progress">Hears how many bytes of weights are written; called from the writing thread. Null for none.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <returns>What was written.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The vocabulary is too small or too large for the tokenizer.</exception>
    /// <exception cref="ModelFormatException">The numbers do not make a model.</exception>
    /// <exception cref="IOException">The folder is not empty, the disk has no room for the checkpoint, or it cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder may not be written to.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static SyntheticCheckpointInfo WriteShape(
        ModelConfig config, string folder, long seed = 0, IProgress<LoadProgress>? progress = null, CancellationToken cancellationToken = default) =>
        WriteSharded(config, folder, seed, WeightShards.MaxShardBytes, progress, cancellationToken);

    /// <inheritdoc cref="WriteShape"/>
    /// <param name="config">The shape.</param>
    /// <param name="folder">Where.</param>
    /// <param name="seed">Chooses the weights.</param>
    /// <param name="maxShardBytes">Most bytes of weights in a file.</param>
    /// <param name="progress">Hears how many bytes of weights are written.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    internal static SyntheticCheckpointInfo WriteSharded(
        ModelConfig config, string folder, long seed, long maxShardBytes, IProgress<LoadProgress>? progress, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(config);
        ArgumentException.ThrowIfNullOrEmpty(folder);
        config.Validate("config");
        SentencePieceModel vocabulary = SyntheticVocabulary.Create(config.VocabSize);
        using StagedFolder staged = StagedFolder.Create(folder, checked((config.ParameterCount * TensorType.F16.BlockBytes()) + OtherBytes));
        File.WriteAllBytes(staged.File("config.json"), ConfigWriter.Write(config, "float16"));
        File.WriteAllBytes(staged.File("generation_config.json"), ConfigWriter.WriteGeneration(config));
        File.WriteAllBytes(staged.File("tokenizer.model"), SentencePieceModelWriter.Write(vocabulary));
        WriteWeights(config, staged.TemporaryPath, seed, maxShardBytes, progress, cancellationToken);
        return new SyntheticCheckpointInfo(staged.Path, config.ParameterCount, staged.Commit());
    }

    private static ModelConfig Llama(int hidden, int intermediate, int layers, int heads, int keyValueHeads, int vocabulary, float epsilon) => new()
    {
        ModelType = "llama",
        HiddenSize = hidden,
        IntermediateSize = intermediate,
        NumHiddenLayers = layers,
        NumAttentionHeads = heads,
        NumKeyValueHeads = keyValueHeads,
        HeadDim = hidden / heads,
        VocabSize = vocabulary,
        MaxPositionEmbeddings = 2048,
        RmsNormEps = epsilon,
        BosTokenId = SyntheticVocabulary.BosId,
        EosTokenIds = [SyntheticVocabulary.EosId],
    };

    private static void WriteWeights(
        ModelConfig config, string folder, long seed, long maxShardBytes, IProgress<LoadProgress>? progress, CancellationToken cancellationToken)
    {
        long done = 0;
        WeightShards.Write(folder, ModelTensors.Of(config, TensorType.F16), maxShardBytes, (writer, fileName) => WriteTensors(
            writer,
            seed,
            bytes => progress?.Report(new LoadProgress(fileName, done += bytes, config.ParameterCount * TensorType.F16.BlockBytes())),
            cancellationToken));
    }

    private static void WriteTensors(SafetensorsWriter writer, long seed, Action<int> wrote, CancellationToken cancellationToken)
    {
        byte[] made = new byte[ChunkBytes];
        byte[] next = new byte[ChunkBytes];
        int madeBytes = 0;
        foreach (TensorInfo tensor in writer.Order)
        {
            SyntheticWeights weights = new(tensor, seed);
            for (long start = 0; start < tensor.ByteLength; start += ChunkBytes)
            {
                cancellationToken.ThrowIfCancellationRequested();
                int nextBytes = (int)Math.Min(ChunkBytes, tensor.ByteLength - start);
                FillAndWrite(weights, start, next.AsMemory(0, nextBytes), writer, made.AsMemory(0, madeBytes));
                wrote(madeBytes);
                (made, next, madeBytes) = (next, made, nextBytes);
            }
        }

        writer.Write(made.AsSpan(0, madeBytes));
        wrote(madeBytes);
    }

    // One thread writes what was made before while the others make what comes next: disk and processors work at the same time.
    private static void FillAndWrite(SyntheticWeights weights, long start, Memory<byte> next, SafetensorsWriter writer, Memory<byte> made)
    {
        int parts = (next.Length + PartBytes - 1) / PartBytes;
        try
        {
            Parallel.For(0, parts + 1, index =>
            {
                if (index == 0)
                {
                    writer.Write(made.Span);
                    return;
                }

                int from = (index - 1) * PartBytes;
                weights.Fill((start + from) / sizeof(ushort), next.Span.Slice(from, Math.Min(PartBytes, next.Length - from)));
            });
        }
        catch (AggregateException e) when (e.InnerException is { } cause)
        {
            ExceptionDispatchInfo.Throw(cause);
        }
    }
}
