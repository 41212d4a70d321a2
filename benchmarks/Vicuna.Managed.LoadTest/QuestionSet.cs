using System.Text.Json;

namespace Vicuna.Managed.LoadTest;

/// <summary>What is asked, and what the answers must be: those of the file, or for made-up prompts whatever came first.</summary>
internal sealed class QuestionSet
{
    private readonly (string Question, string? Answer)[] _items;
    private readonly Dictionary<string, string> _first = [];

    private QuestionSet((string Question, string? Answer)[] items) => _items = items;

    /// <summary>Reads a file, or makes prompts up.</summary>
    public static QuestionSet Read(FileInfo? file)
    {
        if (file is null)
        {
            return new([.. Enumerable.Range(0, 64).Select(i => ($"Tell me something about the number {i} and why it is not {i + 1}.", (string?)null))]);
        }

        using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(file.FullName));
        return new([.. json.RootElement.EnumerateArray().Select(item => (item.GetProperty("question").GetString()!, item.GetProperty("answer").GetString()))]);
    }

    /// <summary>A question.</summary>
    public string Question(int number) => _items[number % _items.Length].Question;

    /// <summary>
    /// Whether an answer is what every answer to this question has been. A model may know an answer wrongly; but the same question has the same one,
    /// whoever asks at the same time.
    /// </summary>
    public bool IsTheSame(string question, string answer)
    {
        lock (_first)
        {
            return _first.TryAdd(question, answer) || _first[question] == answer;
        }
    }

    /// <summary>Questions whose first answer was the file's, of all that were asked.</summary>
    public (int Right, int Asked) Known()
    {
        lock (_first)
        {
            return (_items.Count(item => item.Answer is not null && _first.GetValueOrDefault(item.Question) == item.Answer), _first.Count);
        }
    }
}
