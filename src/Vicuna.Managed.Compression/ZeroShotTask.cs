using Vicuna.Managed.Compression.Evaluation;

namespace Vicuna.Managed.Compression;

/// <summary>
/// Questions with answers to choose from, read from a dataset's own JSONL file: a JSON object a line, blank lines left out. What the model sees is
/// what EleutherAI's lm-evaluation-harness shows it, without examples:
/// <list type="bullet">
/// <item><description>
/// BoolQ, <c>question, passage</c> and <c>answer</c> or <c>label</c> (true or false, 1 or 0): context <c>{passage}\nQuestion: {question}?\nAnswer:</c>,
/// choices no and yes. The passage is taken as the file has it. SuperGLUE's copy, which the harness uses, has <c>{title} -- </c> in front of it;
/// BoolQ's own file has not, and gives somewhat other numbers.
/// </description></item>
/// <item><description>
/// PIQA, <c>goal, sol1, sol2</c> and <c>label</c>, 0 or 1: <c>Question: {goal}\nAnswer:</c>. Without <c>label</c> the labels stand in
/// <c>{name}-labels.lst</c> beside <c>{name}.jsonl</c>, a line each.
/// </description></item>
/// <item><description>
/// HellaSwag, <c>activity_label, ctx_a, ctx_b, endings, label</c>: <c>{activity_label}: {ctx_a} {ctx_b}</c>, ctx_b with its first letter large and all
/// others small. Context and endings are without whitespace at both ends, <c> [title]</c> is made <c>. </c>, what is in brackets is taken out, and
/// then two spaces are made one.
/// </description></item>
/// <item><description>
/// WinoGrande, <c>sentence</c> with a blank <c>_</c>, <c>option1, option2, answer</c> 1 or 2: the contexts are the sentence up to the blank with each
/// option in its place, and what is scored is the rest of the sentence, the same for both.
/// </description></item>
/// <item><description>
/// ARC, <c>question</c> and <c>choices</c> (or <c>question {stem, choices}</c>) and <c>answerKey</c>: <c>Question: {question}\nAnswer:</c>.
/// </description></item>
/// <item><description>
/// OpenBookQA, <c>question_stem</c> and <c>choices</c> (or <c>question {stem, choices}</c>) and <c>answerKey</c>: the stem alone.
/// </description></item>
/// <item><description>
/// Multiple choice: one of <c>context, question, prompt</c>, a string, used as given; one of <c>choices, options, endings</c>; one of
/// <c>answer, label, gold</c>, the right choice's index counted from 0, as a number or in digits, or its letter, A for the first.
/// </description></item>
/// </list>
/// Choices are strings, objects <c>{text, label}</c>, or, as Hugging Face exports them, an object <c>{text: [], label: []}</c>. Where they have labels, an
/// answer that is a string is first looked for among these. In ARC and OpenBookQA, what is no label is a letter, or a number counted from 1.
/// A choice follows its context after one space. In multiple choice there is none where the context is empty or ends in whitespace, or the choice
/// begins with it. <see cref="ZeroShotTaskKind.Auto"/> knows the kinds by these names, and tells ARC from OpenBookQA, where the forms are the same, by the id.
/// </summary>
public sealed class ZeroShotTask
{
    private const long MaxFileBytes = 1L << 30;
    private const string LabelsEnding = "-labels.lst";

    /// <summary>Makes a task from items.</summary>
    /// <param name="name">What it is called in reports.</param>
    /// <param name="kind">Its kind, which decides on <see cref="ReportsNormalized"/>; one that leaves nothing open.</param>
    /// <param name="items">The questions, one or more.</param>
    /// <exception cref="ArgumentException">There is no item, or the kind leaves something open.</exception>
    public ZeroShotTask(string name, ZeroShotTaskKind kind, IReadOnlyList<ZeroShotItem> items)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        ArgumentNullException.ThrowIfNull(items);
        if (!Enum.IsDefined(kind) || kind is ZeroShotTaskKind.Auto or ZeroShotTaskKind.Arc)
        {
            throw new ArgumentException($"Expected the kind of a task, found {kind}.", nameof(kind));
        }

        if (items.Count == 0)
        {
            throw new ArgumentException("Expected one or more items, found none.", nameof(items));
        }

        Name = name;
        Kind = kind;
        Items = [.. items];
    }

    /// <summary>What it is called in reports: <c>boolq</c>, <c>arc_easy</c> and so on; the file's name without its ending for multiple choice.</summary>
    public string Name { get; }

    /// <summary>What the file's lines turned out to be.</summary>
    public ZeroShotTaskKind Kind { get; }

    /// <summary>The questions, in the file's order.</summary>
    public IReadOnlyList<ZeroShotItem> Items { get; }

    /// <summary>Lines that were left out, <see cref="ZeroShotTaskOptions.SkipBroken"/>.</summary>
    public int BrokenLines { get; private init; }

    /// <summary>
    /// Whether the Shortened LLaMA paper reports the accuracy normalized by length (HellaSwag, ARC challenge, OpenBookQA) and not the plain one (the others).
    /// </summary>
    public bool ReportsNormalized => Kind is ZeroShotTaskKind.HellaSwag or ZeroShotTaskKind.ArcChallenge or ZeroShotTaskKind.OpenBookQa;

    /// <summary>Reads a task's file, and PIQA's labels from the file beside it.</summary>
    /// <param name="path">A JSONL file, at most 1 GiB.</param>
    /// <param name="options">How to read it; null for the defaults.</param>
    /// <returns>The task.</returns>
    /// <exception cref="ModelFormatException">A line is broken, the kind cannot be told, or there is no item; the message names file and line.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of range.</exception>
    /// <exception cref="IOException">A file cannot be read.</exception>
    public static ZeroShotTask Load(string path, ZeroShotTaskOptions? options = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        string labels = Path.Combine(Path.GetDirectoryName(path) ?? string.Empty, Path.GetFileNameWithoutExtension(path) + LabelsEnding);
        return Parse(ReadAll(path), path, options, File.Exists(labels) ? ReadAll(labels) : (ReadOnlyMemory<byte>?)null, labels);
    }

    /// <summary>Reads a task from memory.</summary>
    /// <param name="utf8">The file's bytes.</param>
    /// <param name="fileName">The file's name: for messages, for <see cref="Name"/>, and to tell ARC's two parts apart.</param>
    /// <param name="options">How to read it; null for the defaults.</param>
    /// <param name="labels">PIQA's labels, a line an item; null where the lines have them.</param>
    /// <returns>The task.</returns>
    /// <exception cref="ModelFormatException">A line is broken, the kind cannot be told, or there is no item; the message names file and line.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of range.</exception>
    public static ZeroShotTask Parse(ReadOnlyMemory<byte> utf8, string fileName, ZeroShotTaskOptions? options = null, ReadOnlyMemory<byte>? labels = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(fileName);
        return Parse(utf8, fileName, options, labels, Path.GetFileNameWithoutExtension(fileName) + LabelsEnding);
    }

    private static ZeroShotTask Parse(
        ReadOnlyMemory<byte> utf8, string fileName, ZeroShotTaskOptions? options, ReadOnlyMemory<byte>? labels, string labelsName)
    {
        options ??= new ZeroShotTaskOptions();
        ArgumentOutOfRangeException.ThrowIfLessThan(options.Limit ?? 1, 1, nameof(options.Limit));
        if (!Enum.IsDefined(options.Kind))
        {
            throw new ArgumentOutOfRangeException(nameof(options), options.Kind, "Not a kind of task.");
        }

        TaskReader reader = new(fileName, labels, labelsName);
        List<ZeroShotItem> items = reader.Read(utf8, options.Kind, options.Limit ?? int.MaxValue, options.SkipBroken);
        string name = reader.Kind switch
        {
            ZeroShotTaskKind.BoolQ => "boolq",
            ZeroShotTaskKind.Piqa => "piqa",
            ZeroShotTaskKind.HellaSwag => "hellaswag",
            ZeroShotTaskKind.Winogrande => "winogrande",
            ZeroShotTaskKind.ArcEasy => "arc_easy",
            ZeroShotTaskKind.ArcChallenge => "arc_challenge",
            ZeroShotTaskKind.OpenBookQa => "openbookqa",
            _ => Path.GetFileNameWithoutExtension(fileName) is { } stem && !string.IsNullOrWhiteSpace(stem) ? stem : fileName,
        };
        return new ZeroShotTask(name, reader.Kind, items) { BrokenLines = reader.BrokenLines };
    }

    private static byte[] ReadAll(string path)
    {
        long length = new FileInfo(path).Length;
        return length <= MaxFileBytes
            ? File.ReadAllBytes(path)
            : throw new ModelFormatException(path, $"expected at most {MaxFileBytes} bytes, found {length}", null);
    }
}
