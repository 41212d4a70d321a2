using System.Diagnostics;

namespace Vicuna.Managed.Tests.Fuzz;

/// <summary>
/// Runs a target's seeds, then mutations of them, and stops at the first finding: an exception of another type than
/// <see cref="ModelFormatException"/>, more than a second, more than 64 MB of managed memory beyond the input.
/// </summary>
internal sealed class FuzzEngine(FuzzTarget target, long seed)
{
    private const double MaxSeconds = 1;
    private const long MaxBytes = 64 << 20;

    private volatile Attempt? _current;

    /// <summary>The input under way and for how long; another thread may ask, about an input that never ends.</summary>
    public (byte[] Input, TimeSpan Elapsed)? Current => _current is { } attempt ? (attempt.Input, Stopwatch.GetElapsedTime(attempt.Started)) : null;

    /// <summary>Runs the seeds and then mutations.</summary>
    /// <param name="inputs">Inputs in all, the seeds included; all seeds are run even if there are more of them.</param>
    /// <exception cref="FuzzFindingException">An input does what no input may.</exception>
    public FuzzReport Run(long inputs)
    {
        IReadOnlyList<byte[]> seeds = target.Seeds();
        ByteMutator mutator = new(seeds, seed);
        long begun = Stopwatch.GetTimestamp();
        double slowest = 0;
        long most = 0;
        long number = 0;
        for (; number < Math.Max(inputs, seeds.Count); number++)
        {
            byte[] input = number < seeds.Count ? seeds[(int)number] : mutator.Next();
            (double seconds, long bytes) = Measure(input, number);
            if (seconds > MaxSeconds || bytes > MaxBytes)
            {
                // Compilation, collections and busy machines cost an input once, a bad input costs every time.
                (double again, long bytesAgain) = Measure(input, number);
                (seconds, bytes) = (Math.Min(seconds, again), Math.Min(bytes, bytesAgain));
            }

            slowest = Math.Max(slowest, seconds);
            most = Math.Max(most, bytes);
            if (seconds > MaxSeconds || bytes > MaxBytes)
            {
                throw new FuzzFindingException(target.Name, seed, number, $"took {seconds:f3} s and {bytes} bytes beyond its own", input, cause: null);
            }
        }

        _current = null;
        return new FuzzReport(number, Stopwatch.GetElapsedTime(begun).TotalSeconds, slowest * 1000, most);
    }

    private (double Seconds, long Bytes) Measure(byte[] input, long number)
    {
        // Parsers get a copy, so that a finding shows the input as it was.
        byte[] copy = [.. input];
        long bytes = GC.GetAllocatedBytesForCurrentThread();
        long started = Stopwatch.GetTimestamp();
        _current = new Attempt(input, started);
        try
        {
            target.Run(copy);
        }
        catch (ModelFormatException)
        {
        }
        catch (Exception e)
        {
            throw new FuzzFindingException(target.Name, seed, number, $"{e.GetType().Name}: {e.Message}", input, e);
        }

        return (Stopwatch.GetElapsedTime(started).TotalSeconds, GC.GetAllocatedBytesForCurrentThread() - bytes - input.Length);
    }

    private sealed record Attempt(byte[] Input, long Started);
}
