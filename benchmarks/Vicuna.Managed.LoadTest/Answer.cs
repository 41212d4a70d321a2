using System.Diagnostics;

namespace Vicuna.Managed.LoadTest;

/// <summary>What came of one request.</summary>
/// <param name="Status">HTTP status; 0 = the client left.</param>
/// <param name="Start">When it was sent, a timestamp of <see cref="Stopwatch"/>.</param>
/// <param name="Pieces">When each piece of text came.</param>
internal sealed record Answer(int Status, long Start, IReadOnlyList<long> Pieces)
{
    /// <summary>The text.</summary>
    public string Text { get; init; } = "";

    /// <summary>Tokens of the prompt, as the server counts.</summary>
    public int PromptTokens { get; init; }

    /// <summary>Tokens of the answer, as the server counts.</summary>
    public int Tokens { get; init; }

    /// <summary>For how long the server asks to wait; 0 = it does not.</summary>
    public TimeSpan RetryAfter { get; init; }

    /// <summary>Whether the server was too busy, by its own word.</summary>
    public bool IsRefused => Status is 429 or 503;

    /// <summary>When its end came; 0 where it was not waited for.</summary>
    public long End { get; init; }

    /// <summary>
    /// Seconds to the first piece of text, or to the end of an answer without text, which random weights may write; null where there was neither.
    /// </summary>
    public double? FirstToken => Pieces.Count > 0 ? Stopwatch.GetElapsedTime(Start, Pieces[0]).TotalSeconds
        : End > 0 ? Stopwatch.GetElapsedTime(Start, End).TotalSeconds
        : null;

    /// <summary>Seconds between pieces; next to 0 where several came with one packet.</summary>
    public IEnumerable<double> Gaps => Pieces.Zip(Pieces.Skip(1), (before, after) => Stopwatch.GetElapsedTime(before, after).TotalSeconds);
}
