using System.Text;
using Vicuna.Managed.Generation;

namespace Vicuna.Managed;

/// <summary>Measures perplexity: e to the mean negative log-likelihood of each token given those before it in its window.</summary>
public static class Perplexity
{
    /// <summary>Measures ready-made windows.</summary>
    /// <param name="model">The model.</param>
    /// <param name="windows">Token ids; a window of less than two tokens predicts nothing.</param>
    /// <param name="progress">Hears the number of windows done; may be null.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <returns>The mean over all predicted tokens of all windows.</returns>
    /// <exception cref="ArgumentException">There is nothing to predict, or an id is outside the vocabulary.</exception>
    /// <exception cref="ContextLengthExceededException">A window does not fit the context.</exception>
    /// <exception cref="NonFiniteLogitsException">The model's output is not a number.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static PerplexityResult Measure(
        LanguageModel model, IReadOnlyList<IReadOnlyList<int>> windows, IProgress<int>? progress = null, CancellationToken cancellationToken = default) =>
        MeasureWithAdapters(model, [], windows, progress, cancellationToken);

    /// <summary>Measures ready-made windows with adapters that change the model.</summary>
    /// <param name="model">The model.</param>
    /// <param name="adapters">The adapters, from <see cref="LanguageModel.LoadAdapter"/> of the model.</param>
    /// <param name="windows">Token ids; a window of less than two tokens predicts nothing.</param>
    /// <param name="progress">Hears the number of windows done; may be null.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <returns>The mean over all predicted tokens of all windows.</returns>
    /// <exception cref="ArgumentException">There is nothing to predict, an id is outside the vocabulary, or an adapter is another model's.</exception>
    /// <exception cref="ContextLengthExceededException">A window does not fit the context.</exception>
    /// <exception cref="NonFiniteLogitsException">The model's output is not a number.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static PerplexityResult MeasureWithAdapters(
        LanguageModel model,
        IReadOnlyList<LoraAdapter> adapters,
        IReadOnlyList<IReadOnlyList<int>> windows,
        IProgress<int>? progress = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(adapters);
        ArgumentNullException.ThrowIfNull(windows);
        foreach (IReadOnlyList<int> window in windows)
        {
            if (window.Count > model.ContextLength)
            {
                throw new ContextLengthExceededException(window.Count, model.ContextLength);
            }

            foreach (int token in window)
            {
                OptionsResolver.CheckToken(token, model.Config.VocabSize, nameof(windows));
            }
        }

        long tokens = windows.Sum(window => Math.Max(0L, window.Count - 1));
        if (tokens == 0)
        {
            throw new ArgumentException("Expected a window of at least two tokens, found none: there is nothing to predict.", nameof(windows));
        }

        double sum = 0;
        int done = 0;
        using Generator generator = model.CreateGenerator(new GenerationOptions { Adapters = adapters });
        foreach (IReadOnlyList<int> window in windows)
        {
            if (window.Count > 1)
            {
                generator.Rewind(0);
                // The last token predicts nothing that is in the window: it needs no pass.
                int[] context = [.. window.Take(window.Count - 1)];
                generator.AppendObserved(context, (position, logits) => sum += NegativeLogLikelihood(logits, window[position + 1]), cancellationToken);
            }

            progress?.Report(++done);
        }

        return double.IsFinite(sum)
            ? new PerplexityResult(sum / tokens, tokens, windows.Count)
            : throw new NonFiniteLogitsException("The logits hold NaN or infinity: the weights or the input are damaged.");
    }

    /// <summary>
    /// Makes one text of a corpus that is published as lines, as evaluations do that read it from Hugging Face: a row a line, joined by <c>"\n\n"</c>.
    /// In the rows of WikiText (<c>wikitext</c>) lines keep their line ends, and those of nothing but whitespace are empty; the rows of the Penn
    /// Treebank (<c>ptb_text_only</c>) are lines without whitespace at both ends.
    /// </summary>
    /// <param name="text">The file's text: for WikiText-2 <c>wiki.test.raw</c>, for the Penn Treebank <c>ptb.valid.txt</c>.</param>
    /// <param name="trim">False for WikiText, true for the Penn Treebank.</param>
    /// <returns>The text to be encoded.</returns>
    public static string JoinLines(string text, bool trim)
    {
        ArgumentNullException.ThrowIfNull(text);
        text = text.Replace("\r\n", "\n", StringComparison.Ordinal);
        StringBuilder joined = new(text.Length + (text.Length / 8));
        for (int at = 0; at < text.Length;)
        {
            int end = text.IndexOf('\n', at) + 1;
            ReadOnlySpan<char> line = text.AsSpan(at, (end > 0 ? end : text.Length) - at);
            joined.Append(at > 0 ? "\n\n" : string.Empty).Append(trim ? line.Trim() : line.IsWhiteSpace() ? [] : line);
            at += line.Length;
        }

        return joined.ToString();
    }

    /// <summary>
    /// Cuts a stream of tokens into windows as the Shortened LLaMA paper's code does (Nota-NetsPresso/shortened-llm, src/dataset.py). The first id of a
    /// window is predicted by nothing: of windows of 128 tokens, 127 are predicted with the beginning-of-sequence id once, and all 128 with it in every window.
    /// </summary>
    /// <param name="tokens">The text's ids, without a beginning-of-sequence id.</param>
    /// <param name="windowTokens">Tokens per window, 2 or more; what is left at the end is dropped.</param>
    /// <param name="bosId">The beginning-of-sequence id.</param>
    /// <param name="bosInEveryWindow">False: the id stands once in front of the stream, which is then cut. True: the stream is cut, and the id put in front of every window, which makes it one longer.</param>
    /// <returns>The windows.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The window is too short.</exception>
    public static IReadOnlyList<IReadOnlyList<int>> Cut(IReadOnlyList<int> tokens, int windowTokens, int bosId, bool bosInEveryWindow)
    {
        ArgumentNullException.ThrowIfNull(tokens);
        ArgumentOutOfRangeException.ThrowIfLessThan(windowTokens, 2);
        IReadOnlyList<int> stream = bosInEveryWindow ? tokens : [bosId, .. tokens];
        List<IReadOnlyList<int>> windows = [];
        foreach (int[] window in stream.Chunk(windowTokens).Where(chunk => chunk.Length == windowTokens))
        {
            windows.Add(bosInEveryWindow ? [bosId, .. window] : window);
        }

        return windows;
    }

    /// <summary>-ln of the softmax at one token, in f64.</summary>
    internal static double NegativeLogLikelihood(ReadOnlySpan<float> logits, int token)
    {
        double maximum = double.NegativeInfinity;
        foreach (float logit in logits)
        {
            maximum = Math.Max(maximum, logit);
        }

        double sum = 0;
        foreach (float logit in logits)
        {
            sum += Math.Exp(logit - maximum);
        }

        return Math.Log(sum) + maximum - logits[token];
    }
}
