using System.Text;

namespace Vicuna.Managed.Compression.Evaluation;

/// <summary>
/// The datasets' forms, and the prompts that the Shortened LLaMA paper's numbers were measured with: those of EleutherAI's lm-evaluation-harness
/// (lm_eval/tasks). The datasets: the publishers' JSONL files and what Hugging Face's <c>datasets</c> exports of them.
/// </summary>
internal static class TaskFormats
{
    private static readonly string[] Contexts = ["context", "question", "prompt"];
    private static readonly string[] Lists = ["choices", "options", "endings"];
    private static readonly string[] Answers = ["answer", "label", "gold"];

    /// <summary>Tells the kind of a file by the members of a line.</summary>
    /// <exception cref="ModelFormatException">It is none, or ARC and OpenBookQA are both possible.</exception>
    public static ZeroShotTaskKind Detect(TaskLine line)
    {
        bool Has(params string[] keys) => keys.All(line.Has);
        return Has("goal", "sol1", "sol2") ? ZeroShotTaskKind.Piqa
            : Has("sentence", "option1", "option2") ? ZeroShotTaskKind.Winogrande
            : Has("ctx_a", "endings") ? ZeroShotTaskKind.HellaSwag
            : Has("passage", "question") && !Lists.Any(line.Has) ? ZeroShotTaskKind.BoolQ
            : Has("question_stem", "answerKey") ? ZeroShotTaskKind.OpenBookQa
            : Has("question", "answerKey") ? ScienceQuestion(line)
            : Contexts.Any(line.Has) && Lists.Any(line.Has) ? ZeroShotTaskKind.MultipleChoice
            : throw line.Wrong("kind", "the members of a known kind of task", "others: name the kind");
    }

    /// <summary>Makes the item of a line.</summary>
    /// <param name="kind">A kind that leaves nothing open.</param>
    /// <param name="line">The line.</param>
    /// <param name="label">PIQA's label, where the line has none.</param>
    /// <exception cref="ModelFormatException">The line is not of the kind's form.</exception>
    public static ZeroShotItem Read(ZeroShotTaskKind kind, TaskLine line, int? label) => kind switch
    {
        ZeroShotTaskKind.BoolQ => BoolQ(line),
        ZeroShotTaskKind.Piqa => Piqa(line, label),
        ZeroShotTaskKind.HellaSwag => HellaSwag(line),
        ZeroShotTaskKind.Winogrande => Winogrande(line),
        ZeroShotTaskKind.ArcEasy or ZeroShotTaskKind.ArcChallenge or ZeroShotTaskKind.OpenBookQa => Science(line, kind == ZeroShotTaskKind.OpenBookQa),
        _ => MultipleChoice(line),
    };

    private static ZeroShotItem BoolQ(TaskLine line) => Item(
        $"{line.Text("passage")}\nQuestion: {line.Text("question")}?\nAnswer:", ["no", "yes"], line.YesNo(line.Only("answer", "label")) ? 1 : 0);

    private static ZeroShotItem Piqa(TaskLine line, int? label) =>
        Question(line.Text("goal"), [line.Text("sol1"), line.Text("sol2")], line.Has("label") ? line.Answer("label", 2, null, 0) : label!.Value);

    private static ZeroShotItem HellaSwag(TaskLine line)
    {
        string second = line.Has("ctx_b") ? line.Text("ctx_b") : string.Empty;
        string context = Clean($"{line.Text("activity_label")}: {line.Text("ctx_a")} {Capitalize(second)}");
        string[] endings = [.. line.Choices("endings").Texts.Select(Clean)];
        return Item(context, endings, line.Answer("label", endings.Length, null, 0));
    }

    private static ZeroShotItem Winogrande(TaskLine line)
    {
        string sentence = line.Text("sentence");
        int blank = sentence.IndexOf('_', StringComparison.Ordinal);
        if (blank < 0)
        {
            throw line.Wrong("sentence", "a blank '_'", "none");
        }

        string rest = sentence[(blank + 1)..].Trim();
        ZeroShotChoice With(string option) => new(sentence[..blank] + line.Text(option), " " + rest, Characters(rest));
        return new ZeroShotItem([With("option1"), With("option2")], line.Answer("answer", 2, null, 1));
    }

    // The publishers' files have {question: {stem, choices}}; Hugging Face's have question or question_stem, and choices, beside each other.
    private static ZeroShotItem Science(TaskLine line, bool stemAlone)
    {
        bool flat = line.Has("choices");
        (IReadOnlyList<string> texts, IReadOnlyList<string>? labels) = flat ? line.Choices("choices") : line.Choices("choices", "question");
        string question = flat ? line.Text(line.Only("question", "question_stem")) : line.Text("question", "stem");
        int answer = line.Answer("answerKey", texts.Count, labels, 1);
        return stemAlone ? Item(question, texts, answer) : Question(question, texts, answer);
    }

    private static ZeroShotItem MultipleChoice(TaskLine line)
    {
        string context = line.Text(line.Only(Contexts));
        (IReadOnlyList<string> texts, IReadOnlyList<string>? labels) = line.Choices(line.Only(Lists));
        bool joined = context.Length == 0 || char.IsWhiteSpace(context[^1]);
        string Join(string text) => joined || (text.Length > 0 && char.IsWhiteSpace(text[0])) ? text : " " + text;
        return new ZeroShotItem(
            [.. texts.Select(text => new ZeroShotChoice(context, Join(text), Characters(text)))], line.Answer(line.Only(Answers), texts.Count, labels, 0));
    }

    private static ZeroShotItem Question(string question, IReadOnlyList<string> texts, int answer) => Item($"Question: {question}\nAnswer:", texts, answer);

    private static ZeroShotItem Item(string context, IReadOnlyList<string> texts, int answer) =>
        new([.. texts.Select(text => new ZeroShotChoice(context, " " + text, Characters(text)))], answer);

    // OpenBookQA's ids are 7-980 and the like; ARC's begin with the name of an examination.
    private static ZeroShotTaskKind ScienceQuestion(TaskLine line)
    {
        if (line.Has("choices"))
        {
            return ZeroShotTaskKind.Arc;
        }

        if (!line.Has("id"))
        {
            throw line.Wrong("id", "an id, which tells ARC and OpenBookQA apart", "none: name the kind");
        }

        string[] parts = line.Text("id").Split('-');
        return parts.Length == 2 && parts.All(part => part.Length > 0 && part.All(char.IsAsciiDigit)) ? ZeroShotTaskKind.OpenBookQa : ZeroShotTaskKind.Arc;
    }

    // Python's str.capitalize, as the harness has it: the first letter large and all others small.
    private static string Capitalize(string text) => text.Length == 0 ? text : char.ToUpperInvariant(text[0]) + text[1..].ToLowerInvariant();

    // What is left of WikiHow's markup, of which half of HellaSwag is made: "\[.*?\]" goes, which never spans lines.
    private static string Clean(string text)
    {
        text = text.Trim().Replace(" [title]", ". ", StringComparison.Ordinal);
        StringBuilder cleaned = new(text.Length);
        int at = 0;
        for (int open = text.IndexOf('['); open >= 0; open = text.IndexOf('[', at))
        {
            int end = text.AsSpan(open).IndexOfAny(']', '\n') + open;
            if (end < open)
            {
                break;
            }

            // Up to the end of a line without closing bracket, no opening one has a partner.
            cleaned.Append(text, at, (text[end] == ']' ? open : end) - at);
            at = text[end] == ']' ? end + 1 : end;
        }

        return cleaned.Append(text, at, text.Length - at).Replace("  ", " ").ToString();
    }

    private static int Characters(string text) => text.EnumerateRunes().Count();
}
