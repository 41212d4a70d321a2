using Vicuna.Managed.Chat;

namespace PicoVicunaSample;

/// <summary>What the model is trained on, and what it is examined with: the same for the same numbers, on every machine.</summary>
internal sealed class Corpus
{
    private const int HeldOutDocuments = 60;
    private const int QuestionCount = 200;

    // Nearly every conversation fits a sample of 256 tokens, with the template around its turns.
    private const int MaxTurns = 8;
    private const int MaxCharacters = 660;

    // Wordings that are not taught are few: so many of a family are examined before its other questions.
    private const int HeldOutWordings = 5;

    private static readonly string[] SystemMessages =
    [
        "", "Be brief.", "You are Pico.", "You are a helpful assistant.", "You are a friendly assistant.", "Answer the questions of the user.",
        "Answer in one sentence.", "You tell stories to children.", "Be kind and polite.",
    ];

    private readonly SplitMix _random;

    // A fact as often as it is asked.
    private readonly Fact[] _taught =
    [
        .. from family in Knowledge.Families
           from fact in family.Facts
           where !fact.IsHeldOut
           from taught in Enumerable.Repeat(fact, family.Weight)
           select taught,
    ];

    /// <summary>Makes the corpus.</summary>
    /// <param name="documents">Number of documents to train on.</param>
    /// <param name="seed">Chooses them.</param>
    public Corpus(int documents, ulong seed)
    {
        _random = new SplitMix(seed);
        Training = [.. Enumerable.Range(0, documents).Select(_ => Next(isHeldOut: false))];
        HashSet<string> known = [.. Training.Select(document => document.ToString())];
        List<Document> heldOut = [];
        while (heldOut.Count < HeldOutDocuments)
        {
            Document document = Next(isHeldOut: true);
            if (known.Add(document.ToString()))
            {
                heldOut.Add(document);
            }
        }

        HeldOut = heldOut;
        Questions = DrawQuestions();
    }

    /// <summary>Documents to train on, in the order of training.</summary>
    public IReadOnlyList<Document> Training { get; }

    /// <summary>Documents that training never meets, with heroes that it never meets.</summary>
    public IReadOnlyList<Document> HeldOut { get; }

    /// <summary>
    /// Questions with their right answers, as many of every family as can be; of those with two wordings some were trained in the other one only.
    /// </summary>
    public IReadOnlyList<Fact> Questions { get; }

    private Document Next(bool isHeldOut)
    {
        if (_random.Percent(12))
        {
            return Document.Of(Stories.Next(_random, isHeldOut).Text);
        }

        List<ChatMessage> messages = [];
        if (_random.Percent(25))
        {
            messages.Add(new ChatMessage(ChatRole.System, _random.Of(SystemMessages)));
        }

        // Half of the conversations are short, as most are; the long ones teach most for what their beginning costs.
        int turns = _random.Percent(50) ? 1 + _random.Next(2) : 3 + _random.Next(MaxTurns - 2);
        int characters = 0;
        for (int turn = 0; turn < turns; turn++)
        {
            Story? story = _random.Percent(15) ? Stories.Next(_random, isHeldOut) : null;
            Fact fact = story is null ? _random.Of(_taught) : new Fact(story.Request, story.Text);
            characters += fact.Question.Length + fact.Answer.Length;
            if (turn > 0 && characters > MaxCharacters)
            {
                break;
            }

            messages.Add(new ChatMessage(ChatRole.User, _random.Percent(4) ? Careless(fact.Question) : fact.Question));
            messages.Add(new ChatMessage(ChatRole.Assistant, fact.Answer));
        }

        return Document.Of(messages);
    }

    // As people type.
    private static string Careless(string question) => char.ToLowerInvariant(question[0]) + question[1..].TrimEnd('?', '.', '!');

    private List<Fact> DrawQuestions()
    {
        List<Queue<Fact>> open = [];
        foreach (Family family in Knowledge.Families.Where(family => family.IsKnowledge))
        {
            List<Fact> facts = [.. family.Facts];
            _random.Shuffle(facts);
            Fact[] heldOut = [.. facts.Where(fact => fact.IsHeldOut).Take(HeldOutWordings)];
            open.Add(new Queue<Fact>([.. heldOut, .. facts.Where(fact => !fact.IsHeldOut)]));
        }

        List<Fact> questions = [];
        while (questions.Count < QuestionCount)
        {
            foreach (Queue<Fact> family in open.Where(family => family.Count > 0))
            {
                if (questions.Count < QuestionCount)
                {
                    questions.Add(family.Dequeue());
                }
            }
        }

        return questions;
    }
}
