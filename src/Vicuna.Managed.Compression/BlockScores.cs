using System.Globalization;
using System.Text;
using Vicuna.Managed.Compression.Scores;
using Vicuna.Managed.Weights;

namespace Vicuna.Managed.Compression;

/// <summary>How important every block of a model is, by one criterion. Immutable.</summary>
/// <remarks>
/// The files are those of Nota's shortened-llm, which published such scores: <c>block_name,block_score</c> a block,
/// <c>removed_block,ppl,num_calib_data,params</c> a block, <c>weight_name,weight_score</c> a weight, and a line of block numbers, the least important first.
/// </remarks>
public sealed class BlockScores
{
    private const int MaxFileBytes = 16 << 20;
    private const int PieceBytes = 1 << 16;

    private static readonly (string Word, ScoreCriterion Criterion)[] NameWords =
    [
        ("taylor", ScoreCriterion.Taylor), ("magnitude", ScoreCriterion.Magnitude), ("ppl", ScoreCriterion.Perplexity),
        ("perplexity", ScoreCriterion.Perplexity), ("influence", ScoreCriterion.BlockInfluence),
    ];

    /// <summary>Makes scores.</summary>
    /// <param name="criterion">What was measured; null where it is not known.</param>
    /// <param name="blocks">The blocks' scores, <c>[L]</c>: finite, or infinite where a perplexity overflowed. Copied.</param>
    /// <param name="weights">Scores of single weights by name, in the order of the model; null for none. Copied.</param>
    /// <exception cref="ArgumentException">
    /// There is no block, or more than 16,384; a score is not a number; a weight has no name or one that does not fit a line.
    /// </exception>
    public BlockScores(ScoreCriterion? criterion, IEnumerable<double> blocks, IEnumerable<KeyValuePair<string, double>>? weights = null)
    {
        ArgumentNullException.ThrowIfNull(blocks);
        if (criterion is { } known && !Enum.IsDefined(known))
        {
            throw new ArgumentOutOfRangeException(nameof(criterion), criterion, "Not a criterion.");
        }

        Criterion = criterion;
        Blocks = [.. blocks.Take(ScoreTable.MaxBlocks + 1)];
        Weights = [.. weights ?? []];
        if (Blocks.Count is 0 or > ScoreTable.MaxBlocks)
        {
            throw new ArgumentException($"Expected 1 to {ScoreTable.MaxBlocks} blocks, found {(Blocks.Count == 0 ? "none" : "more")}.", nameof(blocks));
        }

        for (int block = 0; block < Blocks.Count; block++)
        {
            if (double.IsNaN(Blocks[block]) || double.IsNegativeInfinity(Blocks[block]))
            {
                throw new ArgumentException(string.Create(CultureInfo.InvariantCulture, $"Expected a number for block {block}, found {Blocks[block]}."), nameof(blocks));
            }
        }

        foreach ((string name, double score) in Weights)
        {
            if (string.IsNullOrEmpty(name) || name.AsSpan().ContainsAny(",\"\r\n") || !double.IsFinite(score))
            {
                string shown = ModelFormatException.Quote(name ?? string.Empty);
                throw new ArgumentException(
                    string.Create(CultureInfo.InvariantCulture, $"Expected a name without commas, quotes and line ends and a finite score, found {shown} and {score}."),
                    nameof(weights));
            }
        }

        // OrderBy is stable: of equal blocks the one with the lower number comes first.
        Order = [.. Enumerable.Range(0, Blocks.Count).OrderBy(block => Blocks[block])];
    }

    /// <summary>What was measured; null where a file did not say.</summary>
    public ScoreCriterion? Criterion { get; }

    /// <summary>The blocks' scores, in the order of the blocks. Of scores read from a file of numbers alone: a block's place in that order.</summary>
    public IReadOnlyList<double> Blocks { get; }

    /// <summary>
    /// Scores of single weights by the names of Hugging Face's checkpoints, in the order of the model; may be empty. Taylor and magnitude also score
    /// <c>model.norm.weight</c> and <c>lm_head.weight</c>, which belong to no block.
    /// </summary>
    public IReadOnlyList<KeyValuePair<string, double>> Weights { get; }

    /// <summary>Block numbers, the least important first; equal ones by number.</summary>
    public IReadOnlyList<int> Order { get; }

    /// <summary>Samples that the model was measured on, where that is known.</summary>
    public int? Samples { get; init; }

    /// <summary>Parameters of the model less one block, where that is known (<c>params</c> in files of perplexities).</summary>
    public long? ParametersWithoutOne { get; init; }

    /// <summary>
    /// Reads scores: a file of <see cref="Write"/>, or Nota's <c>block_score_all.csv</c>, <c>ppl_sorted.csv</c> or <c>block_order.csv</c>. Where the columns
    /// do not tell the criterion, a word in the file's name does (taylor, magnitude, ppl, influence).
    /// </summary>
    /// <param name="path">The file.</param>
    /// <returns>The scores.</returns>
    /// <exception cref="ModelFormatException">The file is damaged, too large, or something else.</exception>
    /// <exception cref="IOException">There is no such file, or it cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">The file may not be read.</exception>
    public static BlockScores Read(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        string name = Path.GetFileName(path);
        using FileStream stream = new(path, FileMode.Open, FileAccess.Read, FileShare.Read);
        using MemoryStream bytes = new();
        byte[] piece = new byte[PieceBytes];
        // Not by the file's length, which pipes do not have.
        for (int read; (read = stream.Read(piece)) > 0;)
        {
            bytes.Write(piece, 0, read);
            if (bytes.Length > MaxFileBytes)
            {
                throw new ModelFormatException(name, $"expected at most {MaxFileBytes} bytes, found more", item: null);
            }
        }

        ScoreTable table = ScoreFileReader.Read(bytes.GetBuffer().AsSpan(0, (int)bytes.Length), name);
        return new BlockScores(table.ArePerplexities ? ScoreCriterion.Perplexity : CriterionOf(name), table.Blocks, table.Weights)
        {
            Samples = table.Samples,
            ParametersWithoutOne = table.ParametersWithoutOne,
        };
    }

    /// <summary>
    /// Writes the scores: to the path itself a line per block, beside it <c>NAME_order.csv</c> and, where there are scores of weights,
    /// <c>NAME_weights.csv</c>. Each file appears when it is whole, and replaces one that is there.
    /// </summary>
    /// <param name="path">The file, <c>NAME.csv</c>.</param>
    /// <exception cref="IOException">A file cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder may not be written to.</exception>
    public void Write(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        string stem = Path.Combine(Path.GetDirectoryName(path) ?? string.Empty, Path.GetFileNameWithoutExtension(path));
        ScoreTable table = new(Criterion == ScoreCriterion.Perplexity, Blocks, Weights) { Samples = Samples, ParametersWithoutOne = ParametersWithoutOne };
        WriteText($"{stem}_order.csv", ScoreFileWriter.Order(Order));
        if (Weights.Count > 0)
        {
            WriteText($"{stem}_weights.csv", ScoreFileWriter.Weights(table));
        }

        // Last: who waits for this file finds the others.
        WriteText(path, ScoreFileWriter.Blocks(table, Order));
    }

    private static ScoreCriterion? CriterionOf(string fileName)
    {
        foreach ((string word, ScoreCriterion criterion) in NameWords)
        {
            if (fileName.Contains(word, StringComparison.OrdinalIgnoreCase))
            {
                return criterion;
            }
        }

        return null;
    }

    private static void WriteText(string path, string text)
    {
        using StagedFile file = StagedFile.Create(path, overwrite: true);
        file.Stream.Write(Encoding.UTF8.GetBytes(text));
        file.Commit();
    }
}
