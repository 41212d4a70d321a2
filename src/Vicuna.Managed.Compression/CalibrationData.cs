using Vicuna.Managed.Sampling;
using Vicuna.Managed.Tokenization;

namespace Vicuna.Managed.Compression;

/// <summary>Passages to measure blocks on.</summary>
public static class CalibrationData
{
    /// <summary>
    /// Draws passages from a text at random: it is cut into windows that do not overlap, some of which are chosen, each once. A passage begins with the
    /// tokenizer's beginning-of-sequence id, where it has one.
    /// </summary>
    /// <param name="text">The text.</param>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="samples">Passages, 1 or more.</param>
    /// <param name="length">Tokens of a passage, the first id included, 3 or more.</param>
    /// <param name="seed">Chooses the passages.</param>
    /// <returns>Token ids, <c>[samples][length]</c>, in the order of the text.</returns>
    /// <exception cref="ArgumentOutOfRangeException">Fewer samples than one, or shorter ones than three tokens.</exception>
    /// <exception cref="InvalidDataException">The text has fewer windows.</exception>
    public static IReadOnlyList<IReadOnlyList<int>> Draw(string text, SentencePieceTokenizer tokenizer, int samples = 10, int length = 128, long seed = 0)
    {
        ArgumentNullException.ThrowIfNull(text);
        ArgumentNullException.ThrowIfNull(tokenizer);
        ArgumentOutOfRangeException.ThrowIfLessThan(samples, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(length, 3);
        int[] begin = tokenizer.BosId is int id ? [id] : [];
        int window = length - begin.Length;
        int[] ids = [.. tokenizer.Encode(text, addBos: false)];
        int windows = ids.Length / window;
        if (windows < samples)
        {
            throw new InvalidDataException($"Expected text for {samples} samples of {length} tokens, found {ids.Length} tokens, enough for {windows}.");
        }

        return
        [
            .. Enumerable.Range(0, windows)
                .OrderBy(i => CounterRandom.NextDouble(seed, i))
                .Take(samples)
                .Order()
                .Select(i => (IReadOnlyList<int>)[.. begin, .. ids.AsSpan(i * window, window)]),
        ];
    }
}
