using Vicuna.Managed.AspNetCore.Hosting;
using Vicuna.Managed.AspNetCore.Protocol;

namespace Vicuna.Managed.AspNetCore.Endpoints;

/// <summary>
/// The answers to a request, all of which the engine has accepted and begun. Until they are, nothing has been sent, and whatever goes wrong is said by a
/// status; but for a stream whose turn takes long to come: its client, and proxies on the way, are told that it is being worked on. Leaving the answers
/// cancels what is left.
/// </summary>
internal sealed class AnswerSet : IAsyncDisposable
{
    private readonly List<InferenceRequest> _requests = [];

    private AnswerSet()
    {
    }

    /// <summary>The only answer, of a request that is streamed.</summary>
    public InferenceRequest Single => _requests.Single();

    /// <summary>Has the answers to all prompts accepted and begun.</summary>
    /// <param name="exchange">The request.</param>
    /// <param name="prompts">Its prompts.</param>
    /// <param name="request">How to answer them.</param>
    /// <exception cref="ApiException">The engine refuses the request as it is.</exception>
    public static async Task<AnswerSet> StartAsync(Exchange exchange, IReadOnlyList<Prompt> prompts, AnswerRequest request)
    {
        AnswerSet set = new();
        try
        {
            foreach (Prompt prompt in prompts)
            {
                for (int choice = 0; choice < request.Choices; choice++)
                {
                    set._requests.Add(await SubmitAsync(exchange, prompt, request.OptionsOf(choice), request.Treatment).ConfigureAwait(false));
                }

                exchange.PromptTokens += set._requests[^1].PromptTokens;
            }

            foreach (InferenceRequest one in set._requests)
            {
                if (request.Stream)
                {
                    await exchange.KeepAliveAsync(one.Started).ConfigureAwait(false);
                }

                await one.Started.ConfigureAwait(false);
            }

            exchange.NoteFirstToken();
            return set;
        }
        catch
        {
            await set.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Waits for all of the answers.</summary>
    /// <param name="exchange">The request.</param>
    /// <returns>The answers, prompt by prompt.</returns>
    public async Task<IReadOnlyList<GenerationResult>> CompleteAsync(Exchange exchange)
    {
        List<GenerationResult> results = [];
        foreach (InferenceRequest request in _requests)
        {
            GenerationResult? result = null;
            await foreach (GenerationChunk piece in request.ReadAsync(exchange.Stop).ConfigureAwait(false))
            {
                result = piece.Result;
            }

            results.Add(result ?? throw new InvalidOperationException("An answer ended without a result."));
            exchange.NewTokens += results[^1].TokenIds.Count;
        }

        return results;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        // All are told before any is waited for.
        _requests.ForEach(request => request.Cancel());
        foreach (InferenceRequest request in _requests)
        {
            await request.DisposeAsync().ConfigureAwait(false);
        }
    }

    private static async Task<InferenceRequest> SubmitAsync(Exchange exchange, Prompt prompt, GenerationOptions options, RequestOptions treatment)
    {
        try
        {
            return await exchange.Served.Engine.SubmitAsync(prompt, options, exchange.WithTimeLeft(treatment), exchange.Stop).ConfigureAwait(false);
        }
        catch (ArgumentException exception)
        {
            // The fields were checked one by one; what the engine finds beyond that is in the prompt.
            throw Errors.Invalid(exchange.Route.PromptField, Text.OneLine(exception));
        }
    }
}
