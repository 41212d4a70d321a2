using Vicuna.Managed.Kernels.Ops;
using Vicuna.Managed.Models;

namespace Vicuna.Managed.Compression.Evaluation;

/// <summary>
/// A question while it is scored. The beginning that its choices share is run once, and each choice goes on from there: one feed, then a feed for each choice
/// of more than one token.
/// </summary>
internal sealed class ScoredItem : IDisposable
{
    private readonly IReadOnlyList<ChoiceRequest> _choices;
    private readonly KvShape _shape;
    private readonly int _shared;
    private readonly List<KvCache> _caches = [];

    /// <summary>Begins with a question.</summary>
    /// <param name="choices">Its choices, one or more.</param>
    /// <param name="shape">Layout of the model's caches.</param>
    public ScoredItem(IReadOnlyList<ChoiceRequest> choices, KvShape shape)
    {
        _choices = choices;
        _shape = shape;
        Sums = new double[choices.Count];
        // No farther than the last token before a choice: its logits are those of all choices that begin there.
        int[] first = choices[0].Ids;
        _shared = choices.Min(choice => Math.Min(choice.First, choice.Ids.AsSpan().CommonPrefixLength(first)));
    }

    /// <summary>The choices' sums of log-probabilities, in nats; complete when all feeds have run.</summary>
    public double[] Sums { get; }

    /// <summary>Whether a choice's context lost its beginning.</summary>
    public bool IsCut => _choices.Any(choice => choice.IsCut);

    /// <summary>Tokens that are run for the item.</summary>
    public int Tokens => _shared + _choices.Sum(choice => choice.Ids.Length - 1 - _shared);

    /// <summary>Most memory that the item takes while it is scored, in bytes.</summary>
    public long MemoryBytes => KvCache.MemoryBytes(_shape, _shared)
        + _choices.Sum(choice => KvCache.MemoryBytes(_shape, choice.Ids.Length) - (_shared / KvShape.PagePositions * _shape.PageBytes));

    /// <summary>The shared beginning's feed; none where there is no such thing.</summary>
    public IEnumerable<Feed> Beginning()
    {
        if (_shared > 0)
        {
            _caches.Add(new KvCache(_shape, _shared));
            bool wanted = _choices.Any(choice => choice.First == _shared);
            yield return new Feed(_caches[0], _choices[0].Ids, _shared, wanted ? _shared - 1 : int.MaxValue, (_, logits) =>
            {
                double normalizer = LogSumExp(logits);
                for (int i = 0; i < _choices.Count; i++)
                {
                    if (_choices[i].First == _shared)
                    {
                        Sums[i] += logits[_choices[i].Ids[_shared]] - normalizer;
                    }
                }
            });
        }
    }

    /// <summary>The choices' feeds, when the beginning has run.</summary>
    public IEnumerable<Feed> Choices()
    {
        KvCache? beginning = _shared > 0 ? _caches[0] : null;
        for (int i = 0; i < _choices.Count; i++)
        {
            ChoiceRequest choice = _choices[i];
            int end = choice.Ids.Length - 1;
            if (end > _shared)
            {
                KvCache cache = new(_shape, end);
                _caches.Add(cache);
                if (beginning is not null)
                {
                    cache.ShareFrom(beginning, _shared);
                }

                int number = i;
                yield return new Feed(cache, choice.Ids, end, Math.Max(_shared, choice.First - 1), (position, logits) =>
                    Sums[number] += logits[choice.Ids[position + 1]] - LogSumExp(logits));
            }
        }
    }

    /// <summary>Frees the item's memory.</summary>
    public void Dispose() => _caches.ForEach(cache => cache.Dispose());

    // In f64: the sums of long choices differ by little.
    private static double LogSumExp(ReadOnlySpan<float> logits)
    {
        double maximum = double.NegativeInfinity;
        foreach (float logit in logits)
        {
            maximum = Math.Max(maximum, logit);
        }

        double sum = 0;
        foreach (float logit in logits)
        {
            sum += Math.Exp(logit - maximum);
        }

        return Math.Log(sum) + maximum;
    }
}
