using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using Vicuna.Managed.Checkpoints;
using Vicuna.Managed.Models;
using Vicuna.Managed.Models.Architectures;
using Vicuna.Managed.Tokenization;

namespace Vicuna.Managed.Compression.Conversion;

/// <summary>A GGUF file as a folder in Hugging Face's layout: its metadata becomes the files that stand beside the weights there.</summary>
internal static class FolderOfGguf
{
    /// <summary>Writes the folder.</summary>
    /// <param name="checkpoint">The opened file.</param>
    /// <param name="folder">The folder to write; new or empty.</param>
    /// <param name="tensors">The tensors, in the model's order.</param>
    /// <param name="storageType">PyTorch's name of their type.</param>
    /// <param name="progress">Hears how many bytes of weights are written.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <returns>Full path, and bytes of all files.</returns>
    public static (string Path, long Bytes) Write(
        Checkpoint checkpoint,
        string folder,
        IReadOnlyList<OutputTensor> tensors,
        string storageType,
        IProgress<LoadProgress>? progress,
        CancellationToken cancellationToken)
    {
        List<(string Name, byte[] Bytes)> files = [("generation_config.json", ConfigWriter.WriteGeneration(checkpoint.Config))];
        if (checkpoint.Tokenizer is { } tokenizer)
        {
            files.Add(("tokenizer.model", SentencePieceModelWriter.Write(tokenizer.Model)));
            files.Add(("tokenizer_config.json", TokenizerConfig(tokenizer, checkpoint.ChatTemplate)));
        }

        return CheckpointFolder.Write(
            folder,
            tensors,
            Config(checkpoint.Config, checkpoint.Name, storageType),
            files.Sum(file => (long)file.Bytes.Length),
            staged => files.ForEach(file => File.WriteAllBytes(staged.File(file.Name), file.Bytes)),
            progress,
            cancellationToken);
    }

    /// <summary>Makes the config.json.</summary>
    /// <param name="config">The model's shape, of GGUF's architecture <c>llama</c>, which several of Hugging Face's share.</param>
    /// <param name="source">The file's name, for messages.</param>
    /// <param name="storageType">PyTorch's name of the weights' type.</param>
    /// <returns>Indented JSON, UTF-8.</returns>
    /// <exception cref="ModelFormatException">None of them has keys for all that the model is.</exception>
    public static byte[] Config(ModelConfig config, string source, string storageType)
    {
        foreach (Architecture architecture in ArchitectureRegistry.All)
        {
            ModelConfig named = config with { ModelType = architecture.ModelType, EosTokenIds = [] };
            byte[] json = ConfigWriter.Write(named with { EosTokenIds = config.EosTokenIds }, storageType);
            if (ConfigReader.Read(json, source) with { EosTokenIds = [] } == named)
            {
                return json;
            }
        }

        string known = string.Join(", ", ArchitectureRegistry.All.Select(architecture => architecture.ModelType));
        throw new ModelFormatException(source, $"expected a model that a config.json can describe ({known}), found one with keys of several", item: null);
    }

    // What transformers' LlamaTokenizer cannot read from tokenizer.model. Its "legacy" way is how Llama and Vicuna were trained.
    private static byte[] TokenizerConfig(SentencePieceTokenizer tokenizer, string? chatTemplate)
    {
        ArrayBufferWriter<byte> buffer = new();
        using (Utf8JsonWriter json = new(buffer, new JsonWriterOptions { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            json.WriteString("tokenizer_class", "LlamaTokenizer");
            json.WriteBoolean("add_bos_token", tokenizer.AddBos);
            json.WriteBoolean("add_eos_token", false);
            json.WriteBoolean("legacy", true);
            Piece("bos_token", tokenizer.BosId);
            Piece("eos_token", tokenizer.EosId);
            Piece("unk_token", tokenizer.UnknownId);
            Piece("pad_token", tokenizer.PadId);
            if (chatTemplate is not null)
            {
                json.WriteString("chat_template", chatTemplate);
            }

            json.WriteEndObject();

            void Piece(string key, int? id)
            {
                if (id is { } known)
                {
                    json.WriteString(key, tokenizer.Model.Pieces[known]);
                }
            }
        }

        return buffer.WrittenSpan.ToArray();
    }
}
