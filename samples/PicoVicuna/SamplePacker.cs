using Vicuna.Managed.Compression;

namespace PicoVicunaSample;

/// <summary>Puts several documents into one sample, whole, so that little of a training step is empty.</summary>
internal static class SamplePacker
{
    // Every eighth sample is as long as the context, so that positions that are used later are not new then.
    private const int LongSampleEvery = 8;

    // Documents to choose from. More would fill samples better, and change their order more.
    private const int Choices = 64;

    /// <summary>Packs documents.</summary>
    /// <param name="documents">Ids of each document, from BOS on; nearly in the order in which they are packed.</param>
    /// <param name="length">Most tokens of a sample; every eighth, and one for a longer document, may have twice as many.</param>
    /// <returns>Samples in which everything but the first id is to be predicted.</returns>
    /// <exception cref="ArgumentException">A document is more than twice as long.</exception>
    public static List<TrainingSample> Pack(IReadOnlyList<int[]> documents, int length)
    {
        if (documents.FirstOrDefault(document => document.Length > 2 * length) is { } tooLong)
        {
            throw new ArgumentException($"Expected documents of at most {2 * length} tokens, found one of {tooLong.Length}.", nameof(documents));
        }

        List<TrainingSample> samples = [];
        LinkedList<int[]> waiting = [];
        int next = 0;
        while (next < documents.Count || waiting.Count > 0)
        {
            while (waiting.Count < Choices && next < documents.Count)
            {
                waiting.AddLast(documents[next++]);
            }

            bool isLong = samples.Count % LongSampleEvery == LongSampleEvery - 1 || waiting.First!.Value.Length > length;
            int room = isLong ? 2 * length : length;
            List<int> ids = new(room);
            while (true)
            {
                LinkedListNode<int[]>? fitting = waiting.First;
                while (fitting is not null && ids.Count + fitting.Value.Length > room)
                {
                    fitting = fitting.Next;
                }

                if (fitting is null)
                {
                    break;
                }

                ids.AddRange(fitting.Value);
                waiting.Remove(fitting);
                if (next < documents.Count)
                {
                    waiting.AddLast(documents[next++]);
                }
            }

            samples.Add(new TrainingSample(ids, promptTokens: 1));
        }

        return samples;
    }
}
