using Vicuna.Managed.Models;

namespace Vicuna.Managed.Generation;

/// <summary>
/// Sequences of one model that share its passes: the weights are read once for all of them. Sequences may come and go between passes. What
/// a sequence computes is bit for bit what it would compute alone. Not safe for concurrent use.
/// </summary>
/// <param name="decoder">The model.</param>
internal sealed class SequenceBatch(Decoder decoder)
{
    private readonly List<Sequence> _sequences = [];
    private readonly List<int> _missing = [];
    private readonly List<Part> _parts = [];
    private readonly List<int> _prompts = [];
    private readonly int[] _tokens = new int[decoder.ChunkTokens];
    private readonly SequenceSlice[] _slices = new SequenceSlice[decoder.ChunkTokens];
    private readonly int[] _rows = new int[DecoderState.LogitsRows];
    private bool _firstHasWaited;

    /// <summary>The sequences.</summary>
    public IReadOnlyList<Sequence> Sequences => _sequences;

    /// <summary>Tokens of prompts in the last pass.</summary>
    public int PromptTokens { get; private set; }

    /// <summary>Sequences that had a single token in the last pass.</summary>
    public int SingleTokens { get; private set; }

    /// <summary>Adds a sequence of the model; it needs at least one token. The caller goes on owning it.</summary>
    public void Add(Sequence sequence) => _sequences.Add(sequence);

    /// <summary>Takes a sequence out.</summary>
    public void Remove(Sequence sequence) => _sequences.Remove(sequence);

    /// <summary>Runs one pass with as many tokens as it holds; see <see cref="Step(int, CancellationToken)"/>.</summary>
    /// <param name="cancellationToken">Checked before each piece of each product.</param>
    /// <returns>Sequences that know the logits for their next token now; when it is less than all, call again.</returns>
    public int Step(CancellationToken cancellationToken) => Step(decoder.ChunkTokens, cancellationToken);

    /// <summary>
    /// Runs one pass over what the sequences lack: single tokens first, so that nobody's answer waits for another's prompt, then prompts, the shortest
    /// first and alone, so that a question waits for no more of a long text than the pass under way. The one that came first in the order of the sequences
    /// has the next pass, half of it at least, so that it comes to its end. If it fails or is cancelled, the sequences are as before.
    /// </summary>
    /// <param name="mostPromptTokens">Most tokens of prompts, 0 or more; a pass may hold less.</param>
    /// <param name="cancellationToken">Checked before each piece of each product.</param>
    /// <returns>Sequences that know the logits for their next token now; when it is less than all, call again.</returns>
    /// <exception cref="InvalidOperationException">A sequence is empty, or another call on one is under way.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">A sequence or the model has been disposed.</exception>
    public int Step(int mostPromptTokens, CancellationToken cancellationToken)
    {
        _missing.Clear();
        try
        {
            foreach (Sequence sequence in _sequences)
            {
                sequence.Guard.Enter();
                _missing.Add(0);
                _missing[^1] = sequence.FindMissing();
            }

            ChooseParts(mostPromptTokens);
            if (_parts.Count > 0)
            {
                Run(cancellationToken);
            }

            int ready = 0;
            for (int i = 0; i < _sequences.Count; i++)
            {
                ready += _missing[i] == 0 ? 1 : 0;
            }

            return ready;
        }
        finally
        {
            // Those that were entered: the first that refused ended the loop.
            for (int i = 0; i < _missing.Count; i++)
            {
                _sequences[i].Guard.Exit();
            }
        }
    }

    private void ChooseParts(int mostPromptTokens)
    {
        _parts.Clear();
        _prompts.Clear();
        int room = decoder.ChunkTokens;
        for (int i = 0; i < _sequences.Count; i++)
        {
            if (_missing[i] == 1 && room > 0)
            {
                _parts.Add(new Part(i, 1));
                room--;
            }
            else if (_missing[i] > 1)
            {
                _prompts.Add(i);
            }
        }

        SingleTokens = _parts.Count;
        room = Math.Min(room, mostPromptTokens);
        PromptTokens = 0;
        if (_prompts.Count == 0 || room == 0)
        {
            return;
        }

        int first = _prompts[0];
        int others = room;
        int reserved = _firstHasWaited ? Math.Min(_missing[first], (room + 1) / 2) : 0;
        others -= reserved;
        _prompts.RemoveAt(0);
        _prompts.Sort((a, b) => (_missing[a], a).CompareTo((_missing[b], b)));
        int at = _parts.Count;
        foreach (int prompt in _prompts)
        {
            int tokens = Math.Min(_missing[prompt], others);
            if (tokens > 0)
            {
                _parts.Add(new Part(prompt, tokens));
                others -= tokens;
            }
        }

        // What the others leave is the first one's too, where it is in the pass at all.
        int rest = reserved > 0 || _prompts.Count == 0 ? Math.Min(_missing[first], reserved + others) : 0;
        if (rest > 0)
        {
            _parts.Insert(at, new Part(first, rest));
        }

        _firstHasWaited = !_firstHasWaited && _prompts.Count > 0;
        for (int i = at; i < _parts.Count; i++)
        {
            PromptTokens += _parts[i].Tokens;
        }
    }

    private void Run(CancellationToken cancellationToken)
    {
        int tokens = 0;
        for (int i = 0; i < _parts.Count; i++)
        {
            Sequence sequence = _sequences[_parts[i].Sequence];
            sequence.MissingTokens(_parts[i].Tokens).CopyTo(_tokens.AsSpan(tokens));
            _slices[i] = new SequenceSlice(sequence.Cache, _parts[i].Tokens, sequence.Adapters);
            tokens += _parts[i].Tokens;
        }

        DecoderState state = decoder.RentState();
        try
        {
            decoder.Forward(_tokens.AsSpan(0, tokens), _slices.AsSpan(0, _parts.Count), state, null, cancellationToken);
            TakeHidden(state);
            TakeLogits(state, cancellationToken);
        }
        finally
        {
            decoder.ReturnState(state);
            Array.Clear(_slices);
        }
    }

    // Before the logits, whose product uses the same buffers.
    private void TakeHidden(DecoderState state)
    {
        int first = 0;
        foreach (Part part in _parts)
        {
            if (_sequences[part.Sequence].Pool is not null)
            {
                _sequences[part.Sequence].TakeHidden(state, first, part.Tokens);
            }

            first += part.Tokens;
        }
    }

    // Hands out logits to the sequences that have no tokens left, as many at a time as one product takes.
    private void TakeLogits(DecoderState state, CancellationToken cancellationToken)
    {
        int vocabulary = decoder.Config.VocabSize;
        int token = -1;
        int first = 0;
        int count = 0;
        for (int i = 0; i < _parts.Count; i++)
        {
            token += _parts[i].Tokens;
            _missing[_parts[i].Sequence] -= _parts[i].Tokens;
            if (WantsLogits(_parts[i]))
            {
                _rows[count++] = token;
            }

            if (count < DecoderState.LogitsRows && i < _parts.Count - 1)
            {
                continue;
            }

            ReadOnlySpan<float> logits = count > 0 ? decoder.Logits(state, _rows.AsSpan(0, count), cancellationToken) : [];
            for (int row = 0; first <= i; first++)
            {
                if (WantsLogits(_parts[first]))
                {
                    _sequences[_parts[first].Sequence].AcceptLogits(logits.Slice(row++ * vocabulary, vocabulary));
                }
            }

            count = 0;
        }
    }

    private bool WantsLogits(Part part) => _missing[part.Sequence] == 0 && _sequences[part.Sequence].Pool is null;

    /// <summary>What a sequence has in the pass.</summary>
    private readonly record struct Part(int Sequence, int Tokens);
}
