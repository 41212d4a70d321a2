using Vicuna.Managed.Tokenization;

namespace Vicuna.Managed.Cli;

/// <summary>Finds a tokenizer without the weights, where that is possible.</summary>
internal static class TokenizerSource
{
    private const string TokenizerFile = "tokenizer.model";

    /// <summary>The tokenizer of a folder (which may hold nothing else), of a GGUF file, or of the embedded model.</summary>
    public static SentencePieceTokenizer Open(string? path)
    {
        if (path is null)
        {
            return SentencePieceTokenizer.Load(CommonOptions.EmbeddedModel()[TokenizerFile].Span, TokenizerFile);
        }

        string file = Path.Combine(path, TokenizerFile);
        if (File.Exists(file))
        {
            return SentencePieceTokenizer.Load(file);
        }

        if (Directory.Exists(path) && !File.Exists(Path.Combine(path, "config.json")))
        {
            throw new ModelFormatException(path, $"expected {TokenizerFile}, found none", item: null);
        }

        using LanguageModel model = LanguageModel.Load(path);
        return model.Tokenizer;
    }
}
