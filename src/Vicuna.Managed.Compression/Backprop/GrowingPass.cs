namespace Vicuna.Managed.Compression.Backprop;

/// <summary>A pass whose buffers grow with the batches that come.</summary>
/// <param name="model">The model.</param>
/// <param name="visitor">Makes the visitor.</param>
internal sealed class GrowingPass(PassModel model, Func<PassContext, GradientVisitor> visitor) : IDisposable
{
    // Logits that exist at a time: [rows, V] f32.
    private const int TargetRows = 256;

    private DecoderGradient? _pass;

    /// <summary>The pass, with room for a batch.</summary>
    public DecoderGradient For(TokenBatch batch)
    {
        int longest = batch.Runs.Max(run => run.Length);
        if (_pass is null || batch.Ids.Length > _pass.Context.Limits.Tokens || longest > _pass.Context.Limits.SequenceTokens)
        {
            PassLimits old = _pass?.Context.Limits ?? default;
            _pass?.Dispose();
            _pass = null;
            _pass = new DecoderGradient(model, new PassLimits(Math.Max(old.Tokens, batch.Ids.Length), Math.Max(old.SequenceTokens, longest), TargetRows), visitor);
        }

        return _pass;
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose() => _pass?.Dispose();
}
