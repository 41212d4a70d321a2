namespace Vicuna.Managed.AspNetCore.Endpoints;

/// <summary>Reads the pieces of an answer for a stream that must not fall silent for long.</summary>
internal static class PieceReader
{
    /// <summary>Reads the pieces; where the next one takes long, the stream is kept alive.</summary>
    /// <param name="exchange">The request, whose stream has begun.</param>
    /// <param name="request">Its answer.</param>
    public static async IAsyncEnumerable<GenerationChunk> ReadAsync(Exchange exchange, InferenceRequest request)
    {
        IAsyncEnumerator<GenerationChunk> pieces = request.ReadAsync(exchange.Stop).GetAsyncEnumerator(exchange.Stop);
        await using (pieces.ConfigureAwait(false))
        {
            while (await NextAsync(exchange, request, pieces).ConfigureAwait(false))
            {
                exchange.NewTokens += pieces.Current.TokenIds.Count;
                yield return pieces.Current;
            }
        }
    }

    private static async Task<bool> NextAsync(Exchange exchange, InferenceRequest request, IAsyncEnumerator<GenerationChunk> pieces)
    {
        ValueTask<bool> next = pieces.MoveNextAsync();
        if (next.IsCompleted)
        {
            return await next.ConfigureAwait(false);
        }

        Task<bool> pending = next.AsTask();
        try
        {
            await exchange.KeepAliveAsync(pending).ConfigureAwait(false);
        }
        catch
        {
            // The client has gone. The pieces cannot be left while the next one is being waited for.
            request.Cancel();
            await ((Task)pending).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            throw;
        }

        return await pending.ConfigureAwait(false);
    }
}
