using System.Text.Json;

namespace Vicuna.Managed.LoadTest;

/// <summary>What is asked, and what the answers must be: those that the server gave when it did nothing else.</summary>
internal sealed class QuestionSet
{
    private const int MadeUp = 16;

    private readonly (string Question, string? Known)[] _items;
    private readonly Dictionary<string, string> _expected = [];

    private QuestionSet((string Question, string? Known)[] items, int maxTokens)
    {
        _items = items;
        MaxTokens = maxTokens;
    }

    /// <summary>Longest answer.</summary>
    public int MaxTokens { get; }

    /// <summary>How many there are.</summary>
    public int Count => _items.Length;

    /// <summary>Reads a JSON array of {question, answer}, or makes questions up.</summary>
    public static QuestionSet Read(FileInfo? file, int? count, int maxTokens)
    {
        if (file is null)
        {
            IEnumerable<int> numbers = Enumerable.Range(0, count ?? MadeUp);
            return new([.. numbers.Select(i => ($"Tell me something about the number {i} and why it is not {i + 1}.", (string?)null))], maxTokens);
        }

        using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(file.FullName));
        (string, string?)[] items = [.. json.RootElement.EnumerateArray()
            .Select(item => (item.GetProperty("question").GetString()!, item.GetProperty("answer").GetString())).Take(count ?? int.MaxValue)];
        return items.Length > 0 ? new(items, maxTokens) : throw new InvalidDataException($"{file.FullName}: expected questions, found none.");
    }

    /// <summary>A question.</summary>
    public Question this[int number] => new(_items[(number & int.MaxValue) % _items.Length].Question, MaxTokens);

    /// <summary>Asks every question alone. What is answered later is compared with that.</summary>
    /// <returns>Answers that are the file's, of all.</returns>
    public async Task<int> LearnAsync(LoadClient client, CancellationToken cancellationToken)
    {
        int known = 0;
        foreach ((string question, string? answer) in _items)
        {
            string text = await AloneAsync(client, question, cancellationToken);
            _expected[question] = text;
            known += text == answer ? 1 : 0;
        }

        return known;
    }

    /// <summary>Asks every question alone once more.</summary>
    /// <returns>Answers that are not what they were.</returns>
    public async Task<int> RepeatAsync(LoadClient client, CancellationToken cancellationToken)
    {
        int wrong = 0;
        foreach ((string question, _) in _items)
        {
            wrong += IsRight(question, await AloneAsync(client, question, cancellationToken)) ? 0 : 1;
        }

        return wrong;
    }

    /// <summary>Whether an answer is the one that the question has alone.</summary>
    public bool IsRight(string question, string answer) => _expected[question] == answer;

    private async Task<string> AloneAsync(LoadClient client, string question, CancellationToken cancellationToken)
    {
        Answer answer = await client.AskAsync(new Question(question, MaxTokens), cancellationToken);
        return answer.Status == 200
            ? answer.Text
            : throw new InvalidDataException($"A question to an idle server was answered with status {answer.Status}: {question}");
    }
}
