using System.Text.Json;
using Vicuna.Managed.Chat;
using Vicuna.Managed.Compression.Data;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Tokenization;
using Vicuna.Managed.Weights;

namespace Vicuna.Managed.Compression;

/// <summary>
/// Makes samples of files. JSON files hold one array of objects, or an object a line (JSON lines). Records of which nothing is to be predicted are left
/// out and counted.
/// </summary>
public static class TrainingData
{
    /// <summary>Reads a file of any kind, with a model's tokenizer and template.</summary>
    /// <param name="path">The file.</param>
    /// <param name="model">Has the tokenizer, and the template for conversations.</param>
    /// <param name="options">How; null for the defaults.</param>
    /// <param name="cancellationToken">Stops the reading.</param>
    /// <returns>The samples; there may be none.</returns>
    /// <exception cref="ModelFormatException">The file is damaged or of no known kind (the message names the line or element), or the model has no tokenizer or known template.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of range.</exception>
    /// <exception cref="IOException">The file cannot be read, or is empty.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static TrainingSet Load(string path, LanguageModel model, TrainingDataOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(model);
        SentencePieceTokenizer tokenizer = model.Tokenizer;
        return Read(path, options, options?.Kind ?? TrainingDataKind.Auto, tokenizer, () => model.PromptFormatter, cancellationToken);
    }

    /// <summary>
    /// Reads instructions and answers. The prompt is Stanford Alpaca's with <c>### Response:</c> and a line end; prompt and answer are encoded as one text with
    /// the beginning-of-sequence id in front, cut, and the end-of-sequence id appended where there is room. As many tokens as the prompt alone has are not predicted.
    /// </summary>
    /// <param name="path">The file.</param>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="options">How; null for the defaults.</param>
    /// <param name="cancellationToken">Stops the reading.</param>
    /// <returns>The samples; there may be none.</returns>
    /// <exception cref="ModelFormatException">The file is damaged; the message names the line or element.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of range.</exception>
    /// <exception cref="IOException">The file cannot be read, or is empty.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static TrainingSet FromAlpaca(
        string path, SentencePieceTokenizer tokenizer, TrainingDataOptions? options = null, CancellationToken cancellationToken = default) =>
        Read(path, options, TrainingDataKind.Alpaca, tokenizer, static () => PromptTemplates.Alpaca, cancellationToken);

    /// <summary>
    /// Reads conversations, in the model's own template. What the assistant says, and what ends it, is predicted. An answer that comes first, without a question,
    /// is dropped.
    /// </summary>
    /// <param name="path">The file.</param>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="formatter">The model's template, <see cref="LanguageModel.PromptFormatter"/>.</param>
    /// <param name="options">How; null for the defaults.</param>
    /// <param name="cancellationToken">Stops the reading.</param>
    /// <returns>The samples; there may be none.</returns>
    /// <exception cref="ModelFormatException">The file is damaged; the message names the line or element.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of range.</exception>
    /// <exception cref="IOException">The file cannot be read, or is empty.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static TrainingSet FromConversations(
        string path, SentencePieceTokenizer tokenizer, IPromptFormatter formatter, TrainingDataOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(formatter);
        return Read(path, options, TrainingDataKind.Conversations, tokenizer, () => formatter, cancellationToken);
    }

    /// <summary>Reads a plain text, cut into windows with the beginning-of-sequence id in front; every other token is predicted.</summary>
    /// <param name="path">The file, UTF-8.</param>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="options">How; null for the defaults.</param>
    /// <param name="cancellationToken">Stops the reading.</param>
    /// <returns>The samples; there may be none.</returns>
    /// <exception cref="ModelFormatException">The file is not UTF-8 or too large.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of range.</exception>
    /// <exception cref="IOException">The file cannot be read, or is empty.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static TrainingSet FromText(
        string path, SentencePieceTokenizer tokenizer, TrainingDataOptions? options = null, CancellationToken cancellationToken = default) =>
        Read(path, options, TrainingDataKind.Text, tokenizer, static () => PromptTemplates.Raw, cancellationToken);

    /// <summary>Reads a file's bytes.</summary>
    /// <param name="file">The whole file.</param>
    /// <param name="name">Its name, for messages.</param>
    /// <param name="options">How.</param>
    /// <param name="kind">What the file holds.</param>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="formatter">Gives the model's template; asked only for conversations.</param>
    /// <param name="cancellationToken">Stops the reading.</param>
    /// <exception cref="ModelFormatException">The file is damaged or of no known kind.</exception>
    internal static TrainingSet Read(
        ByteRegion file, string name, TrainingDataOptions options, TrainingDataKind kind, SentencePieceTokenizer tokenizer, Func<IPromptFormatter> formatter,
        CancellationToken cancellationToken)
    {
        kind = kind == TrainingDataKind.Auto ? Detect(file, name) : kind;
        SampleBuilder builder = new(name, kind, options);
        if (kind == TrainingDataKind.Text)
        {
            TextWindows.Read(file, name, tokenizer, builder, cancellationToken);
            return builder.Build();
        }

        IPromptFormatter? template = kind == TrainingDataKind.Conversations ? formatter() : null;
        foreach (JsonRecord record in new JsonRecords(file, name).Read())
        {
            cancellationToken.ThrowIfCancellationRequested();
            builder.Read(file, record, element =>
            {
                if (template is null)
                {
                    AlpacaReader.Read(element, tokenizer, builder);
                }
                else
                {
                    ConversationReader.Read(element, tokenizer, template, builder);
                }
            });
        }

        return builder.Build();
    }

    private static TrainingSet Read(
        string path, TrainingDataOptions? options, TrainingDataKind kind, SentencePieceTokenizer tokenizer, Func<IPromptFormatter> formatter,
        CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(path);
        ArgumentNullException.ThrowIfNull(tokenizer);
        options ??= new TrainingDataOptions();
        if (options.CutoffTokens < 2)
        {
            throw new ArgumentOutOfRangeException(nameof(options), $"{nameof(options.CutoffTokens)}: expected 2 or more, found {options.CutoffTokens}.");
        }

        if (!Enum.IsDefined(kind))
        {
            throw new ArgumentOutOfRangeException(nameof(options), $"{nameof(options.Kind)}: expected a known kind, found {(int)kind}.");
        }

        using AlignedBuffer file = MappedFile.LoadResident(path, progress: null, cancellationToken);
        return Read(file.Region, path, options, kind, tokenizer, formatter, cancellationToken);
    }

    // A file that begins as JSON objects do is taken for JSON; its first record that can be read says of which kind.
    private static TrainingDataKind Detect(ByteRegion file, string name)
    {
        const int Looked = 4096;
        long start = JsonRecords.Start(file);
        ReadOnlySpan<byte> begin = file.Bytes(start, (int)Math.Min(Looked, file.Length - start));
        ReadOnlySpan<byte> inner = begin.StartsWith("["u8) ? begin[1..].TrimStart(" \t\r\n"u8) : begin;
        if (!inner.StartsWith("{"u8))
        {
            return TrainingDataKind.Text;
        }

        foreach (JsonRecord record in new JsonRecords(file, name).Read().Take(100))
        {
            try
            {
                using JsonDocument document = JsonDocument.Parse(file.Bytes(record.Offset, record.Length).ToArray());
                if (document.RootElement.ValueKind == JsonValueKind.Object)
                {
                    return AlpacaReader.Fits(document.RootElement) ? TrainingDataKind.Alpaca
                        : ConversationReader.Fits(document.RootElement) ? TrainingDataKind.Conversations
                        : throw new ModelFormatException(
                            name, $"{record.Place}: expected a record with 'instruction', 'conversations' or 'messages', found none of them", null);
                }
            }
            catch (Exception e) when (StrictJson.IsBadJson(e))
            {
                // The readers say what is wrong with it, when they come to it.
            }
        }

        throw new ModelFormatException(name, "expected JSON objects or plain text, found damaged JSON; say which kind the file is", null);
    }
}
