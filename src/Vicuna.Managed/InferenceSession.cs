namespace Vicuna.Managed;

/// <summary>
/// The tokens of a conversation's last request and its answer, with the engine's memory of them as long as there is room for it: what is saved and
/// restored. A session holds no memory of the model by itself, and needs no disposal. Made by <see cref="InferenceEngine.CreateSession"/>.
/// </summary>
public sealed class InferenceSession
{
    private readonly InferenceEngine _engine;
    private volatile IReadOnlyList<int> _tokens;

    internal InferenceSession(InferenceEngine engine, bool isRestored)
    {
        _engine = engine;
        _tokens = [];
        PageSource = isRestored ? this : null;
    }

    /// <summary>Prompt and answer of the last request that ended; empty before it.</summary>
    public IReadOnlyList<int> Tokens
    {
        get => _tokens;
        internal set => _tokens = value;
    }

    /// <summary>Writes the session, with the model's memory of it as far as the engine still has it.</summary>
    /// <param name="destination">Receives the bytes; the format of <see cref="Generator.Save"/>.</param>
    /// <param name="cancellationToken">Stops before the writing begins.</param>
    /// <returns>The task; ends when all is written.</returns>
    /// <exception cref="InvalidOperationException">No request of the session has ended yet.</exception>
    /// <exception cref="IOException">The stream cannot be written.</exception>
    /// <exception cref="ObjectDisposedException">The engine has been disposed.</exception>
    public Task SaveAsync(Stream destination, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(destination);
        return _engine.SaveAsync(this, destination, cancellationToken);
    }

    /// <summary>Where its pages come from: what was read from a file serves this session alone.</summary>
    internal object? PageSource { get; }

    /// <summary>Whether an engine made it.</summary>
    internal bool BelongsTo(InferenceEngine engine) => _engine == engine;
}
