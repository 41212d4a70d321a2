using System.Text;
using Vicuna.Managed;

namespace DesktopSample.ViewModels;

/// <summary>Reads an answer on the thread pool and gathers it, so that the user interface's thread is given whole texts, and these seldom.</summary>
internal sealed class AnswerReader(TimeProvider time)
{
    private readonly Lock _gate = new();
    private readonly StringBuilder _text = new();
    private readonly long _start = time.GetTimestamp();
    private GenerationResult? _result;
    private long _firstAt;
    private long _lastAt;
    private int _tokens;

    /// <summary>Reads to the end.</summary>
    /// <param name="pieces">The answer.</param>
    /// <param name="changed">Called after each piece.</param>
    public Task ReadAsync(IAsyncEnumerable<GenerationChunk> pieces, Action changed) =>
        Task.Run(async () =>
        {
            await foreach (GenerationChunk piece in pieces.ConfigureAwait(false))
            {
                Add(piece);
                changed();
            }
        });

    /// <summary>What there is so far.</summary>
    public AnswerSnapshot Take()
    {
        lock (_gate)
        {
            TimeSpan first = _tokens > 0 ? time.GetElapsedTime(_start, _firstAt) : TimeSpan.Zero;

            // The engine's own timing where it is known; until then, by the clock and from the first token on, which has none of its own.
            double seconds = _result?.DecodeTime.TotalSeconds ?? time.GetElapsedTime(_firstAt, _lastAt).TotalSeconds;
            int counted = _result is null ? _tokens - 1 : _tokens;
            return new AnswerSnapshot(_text.ToString(), _tokens, counted > 0 && seconds > 0 ? counted / seconds : 0, first, _result?.FinishReason);
        }
    }

    private void Add(GenerationChunk piece)
    {
        lock (_gate)
        {
            _text.Append(piece.Text);
            _result = piece.Result ?? _result;
            if (piece.TokenIds.Count > 0)
            {
                _lastAt = time.GetTimestamp();
                _firstAt = _tokens == 0 ? _lastAt : _firstAt;
                _tokens += piece.TokenIds.Count;
            }
        }
    }
}
