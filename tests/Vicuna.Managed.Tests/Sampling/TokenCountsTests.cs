using Vicuna.Managed.Sampling;

namespace Vicuna.Managed.Tests.Sampling;

public sealed class TokenCountsTests
{
    [Fact]
    public void Counts_OfRandomAddsAndRemovals_AreThoseOfAPlainList()
    {
        const int vocabSize = 20;
        Random random = new(1);
        TokenCounts counts = new(vocabSize);
        Stack<(int Token, bool Generated)> sequence = new();
        HashSet<int> ever = [];
        for (int step = 0; step < 5000; step++)
        {
            if (sequence.Count > 0 && random.Next(5) < 2)
            {
                (int token, bool generated) = sequence.Pop();
                counts.Remove(token, generated);
            }
            else
            {
                sequence.Push((random.Next(vocabSize), random.Next(2) == 0));
                ever.Add(sequence.Peek().Token);
                counts.Add(sequence.Peek().Token, sequence.Peek().Generated);
            }

            int probe = random.Next(vocabSize);
            Assert.Equal(sequence.Count(entry => entry.Token == probe), counts.All(probe));
            Assert.Equal(sequence.Count(entry => entry == (probe, true)), counts.Generated(probe));
        }

        Assert.Equal(ever.Order(), counts.Seen.Order());
    }

    [Fact]
    public void Seen_OfATokenAddedAgainAfterItsRemoval_HoldsItOnce()
    {
        TokenCounts counts = new(5);
        for (int i = 0; i < 3; i++)
        {
            counts.Add(2, generated: false);
            counts.Remove(2, generated: false);
        }

        counts.Add(4, generated: true);
        Assert.Equal([2, 4], counts.Seen);
        Assert.Equal(0, counts.All(2));
    }

    [Fact]
    public void Add_OfEveryToken_AllocatesNothing()
    {
        TokenCounts counts = new(5000);
        counts.Add(0, generated: true);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int token = 0; token < 5000; token++)
        {
            counts.Add(token, generated: true);
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }
}
