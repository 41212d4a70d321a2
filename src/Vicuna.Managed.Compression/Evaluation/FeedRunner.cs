using Vicuna.Managed.Models;

namespace Vicuna.Managed.Compression.Evaluation;

/// <summary>Runs sequences together, in passes as full as they can be. What a sequence computes does not depend on the others.</summary>
/// <param name="decoder">The model.</param>
internal sealed class FeedRunner(Decoder decoder)
{
    private readonly int[] _tokens = new int[decoder.ChunkTokens];
    private readonly List<SequenceSlice> _slices = [];
    private readonly List<(int Row, Feed Feed, int Position)> _wanted = [];

    /// <summary>Runs sequences to their ends.</summary>
    /// <param name="feeds">The sequences, none twice.</param>
    /// <param name="cancellationToken">Checked before each piece of each product.</param>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">The model has been disposed.</exception>
    public void Run(IReadOnlyList<Feed> feeds, CancellationToken cancellationToken)
    {
        DecoderState state = decoder.RentState();
        try
        {
            for (int next = 0; next < feeds.Count;)
            {
                cancellationToken.ThrowIfCancellationRequested();
                int tokens = Fill(feeds, next);
                decoder.Forward(_tokens.AsSpan(0, tokens), [.. _slices], state, null, cancellationToken);
                Observe(state, cancellationToken);
                while (next < feeds.Count && feeds[next].Cache.Length == feeds[next].End)
                {
                    next++;
                }
            }
        }
        finally
        {
            decoder.ReturnState(state);
        }
    }

    // Takes what a pass holds from the sequences from number first on, and notes whose logits are wanted.
    private int Fill(IReadOnlyList<Feed> feeds, int first)
    {
        _slices.Clear();
        _wanted.Clear();
        int tokens = 0;
        for (int i = first; i < feeds.Count && tokens < _tokens.Length; i++)
        {
            Feed feed = feeds[i];
            int start = feed.Cache.Length;
            int count = Math.Min(feed.End - start, _tokens.Length - tokens);
            feed.Ids.AsSpan(start, count).CopyTo(_tokens.AsSpan(tokens));
            _slices.Add(new SequenceSlice(feed.Cache, count));
            for (int position = Math.Max(start, feed.ObserveFrom); position < start + count; position++)
            {
                _wanted.Add((tokens + position - start, feed, position));
            }

            tokens += count;
        }

        return tokens;
    }

    private void Observe(DecoderState state, CancellationToken cancellationToken)
    {
        int vocabulary = decoder.Config.VocabSize;
        foreach ((int Row, Feed Feed, int Position)[] rows in _wanted.Chunk(DecoderState.LogitsRows))
        {
            ReadOnlySpan<float> logits = decoder.Logits(state, rows.Select(row => row.Row).ToArray(), cancellationToken);
            for (int i = 0; i < rows.Length; i++)
            {
                rows[i].Feed.Observer(rows[i].Position, logits.Slice(i * vocabulary, vocabulary));
            }
        }
    }
}
