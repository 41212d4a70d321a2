using Vicuna.Managed.Chat;
using Vicuna.Managed.Kernels.Ops;
using Vicuna.Managed.Models;
using Vicuna.Managed.Tokenization;
using Vicuna.Managed.Weights;
using Vicuna.Managed.Weights.Torch;

namespace Vicuna.Managed.Checkpoints;

/// <summary>Opens a checkpoint in Hugging Face's layout. Where safetensors and .bin files are both there, safetensors are taken, as transformers does.</summary>
internal static class HuggingFaceCheckpoint
{
    /// <summary>The file that makes a folder a model.</summary>
    public const string ConfigFile = "config.json";

    private const string GenerationConfigFile = "generation_config.json";
    private const string TokenizerConfigFile = "tokenizer_config.json";
    private const string TokenizerFile = "tokenizer.model";
    private const string TemplateKey = "chat_template";
    private const int MaxJsonBytes = 16 << 20;
    private const int MaxTokenizerBytes = 64 << 20;

    private static readonly CheckpointLayout Torch = new(
        "pytorch_model.bin", "pytorch_model.bin.index.json", ".bin", static (file, fileName) => TorchFile.Read(file, fileName));

    /// <summary>Opens a checkpoint.</summary>
    /// <exception cref="ModelFormatException">It is damaged or not supported.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static Checkpoint Open(string name, IFileSource files, TensorSetOptions options, CancellationToken cancellationToken)
    {
        ModelConfig config = ConfigReader.Read(files.Read(ConfigFile, MaxJsonBytes), ConfigFile);
        GenerationDefaults defaults = files.Exists(GenerationConfigFile)
            ? GenerationDefaults.Read(files.Read(GenerationConfigFile, MaxJsonBytes), GenerationConfigFile, config.VocabSize)
            : GenerationDefaults.None;
        JsonObject? tokenizerConfig = files.Exists(TokenizerConfigFile) ? JsonObject.Parse(files.Read(TokenizerConfigFile, MaxJsonBytes), TokenizerConfigFile) : null;
        SentencePieceTokenizer? tokenizer = ReadTokenizer(files, tokenizerConfig, config.VocabSize);
        string? template = ChatTemplate(tokenizerConfig);
        IPromptFormatter? formatter = TemplateDetector.Detect(template);
        (CheckpointLayout layout, string format) = FindLayout(name, files);
        // Last, because nothing after it fails: the tensors own memory.
        TensorSet tensors = files.OpenTensors(layout, options, cancellationToken);
        return new Checkpoint
        {
            Name = name,
            Format = format,
            Config = config,
            Tensors = tensors,
            RopeStyle = RopeStyle.Halves,
            Tokenizer = tokenizer,
            TokenizerProblem = tokenizer is null ? $"{name} holds no {TokenizerFile}, the only kind of tokenizer file that is supported for a folder" : null,
            DefaultOptions = defaults.Options,
            EndOfSequenceIds = EndIds(defaults, config, tokenizer),
            PromptFormatter = formatter,
            ChatTemplate = tokenizerConfig?.IsString(TemplateKey) == true ? template : null,
        };
    }

    private static SentencePieceTokenizer? ReadTokenizer(IFileSource files, JsonObject? tokenizerConfig, int vocabSize)
    {
        if (!files.Exists(TokenizerFile))
        {
            return null;
        }

        bool addBos = tokenizerConfig?.Bool("add_bos_token") ?? true;
        SentencePieceTokenizer tokenizer = new(SentencePieceModel.Read(files.Read(TokenizerFile, MaxTokenizerBytes).Span, TokenizerFile), addBos);
        return tokenizer.VocabularySize <= vocabSize
            ? tokenizer
            : throw new ModelFormatException(TokenizerFile, $"expected at most vocab_size {vocabSize} pieces, found {tokenizer.VocabularySize}", item: null);
    }

    // The file's own statement wins; a config without ids leaves the tokenizer's.
    private static IReadOnlyList<int> EndIds(GenerationDefaults defaults, ModelConfig config, SentencePieceTokenizer? tokenizer) =>
        defaults.EndOfSequenceIds.Count > 0 ? defaults.EndOfSequenceIds
        : config.EosTokenIds.Count > 0 ? config.EosTokenIds
        : tokenizer?.EosId is { } id ? [id] : [];

    // A list of named templates is a later form of the key: its text holds the templates.
    private static string? ChatTemplate(JsonObject? tokenizerConfig) => tokenizerConfig?.StringOrOther(TemplateKey);

    private static (CheckpointLayout Layout, string Format) FindLayout(string name, IFileSource files)
    {
        foreach ((CheckpointLayout layout, string format) in new[] { (CheckpointLayout.Safetensors, "safetensors"), (Torch, "pytorch") })
        {
            if (files.Exists(layout.SingleFile) || files.Exists(layout.IndexFile))
            {
                return (layout, format);
            }
        }

        throw new ModelFormatException(
            name, $"expected {CheckpointLayout.Safetensors.SingleFile}, {Torch.SingleFile} or one of their index files, found none", item: null);
    }
}
