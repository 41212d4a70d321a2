using System.Buffers.Binary;
using System.Text;

namespace Vicuna.Managed.Tests.Fuzz;

/// <summary>
/// An endless row of mutated inputs, the same for the same seeds and number. Knows no format, but the kinds of numbers and words that files
/// are made of.
/// </summary>
internal sealed class ByteMutator(IReadOnlyList<byte[]> seeds, long seed)
{
    private const int MaxMutations = 6;

    // Growth by insertion, splice and duplication ends here: larger inputs cost time and find nothing that small ones do not.
    private const int MaxLength = 1 << 16;

    private static readonly long[] Extremes =
    [
        0, 1, 2, 7, 8, 16, 31, 32, 63, 64, 100, 127, 128, 255, 256, 1000, 1024, 4096, short.MaxValue, short.MaxValue + 1, ushort.MaxValue, ushort.MaxValue + 1,
        1_000_000, 1_000_001, 100_000_000, 100_000_001, int.MaxValue - 8, int.MaxValue - 1, int.MaxValue, int.MaxValue + 1L, uint.MaxValue - 1, uint.MaxValue,
        uint.MaxValue + 1L, 1L << 53, 1L << 61, 1L << 62, long.MaxValue / 2, long.MaxValue - 8, long.MaxValue - 1, long.MaxValue,
        long.MinValue, long.MinValue + 1, int.MinValue, short.MinValue, sbyte.MinValue, -8, -4, -2, -1,
    ];

    private static readonly byte[][] Words =
    [
        .. new[]
        {
            "{", "}", "[", "]", "\"", ",", ":", "{}", "[]", "\"\"", "null", "true", "false", "\\ud800", "\\u0000", "\\", "\n", " ", "-", "e", "E+", ".",
            "1e308", "1e309", "-1e-999", "NaN", "Infinity", "0.5", "1.0", "-0", "00", "18446744073709551615", "18446744073709551616",
            "[[[[[[[[[[", "{\"a\":{\"a\":", "<0x0A>", "\u2581", "\ufffd", "\ud83e\udd99", "../", "C:\\",
        }.Select(Encoding.UTF8.GetBytes),
        [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xFF], [0xFE, 0xFF], [0x00], [0x80], [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
        [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01], [0x00, 0x00, 0x80, 0x7F], [0x00, 0x00, 0xC0, 0x7F],
    ];

    // The state is SplitMix64's: small, quick, and the same in every version of the runtime.
    private ulong _state = unchecked((ulong)seed);

    /// <summary>
    /// The next input: a seed with 1 to 6 mutations one on top of the other. Half have one alone, because inputs with many are mostly refused at
    /// the parser's first step.
    /// </summary>
    public byte[] Next()
    {
        List<byte> input = [.. Pick(seeds)];
        for (int i = 1; i == 1 || (i <= MaxMutations && Below(2) == 0); i++)
        {
            Mutate(input);
        }

        return [.. input];
    }

    private void Mutate(List<byte> input)
    {
        switch (Below(12))
        {
            case 0 or 1 when input.Count > 0:
                input[Below(input.Count)] ^= (byte)(1 << Below(8));
                break;
            case 2 when input.Count > 0:
                input[Below(input.Count)] = (byte)Below(256);
                break;
            case 3 or 4 when input.Count > 0:
                OverwriteNumber(input);
                break;
            case 5:
                int cut = Below(input.Count + 1);
                input.RemoveRange(cut, input.Count - cut);
                break;
            case 6 when input.Count > 0:
                (int from, int length) = Block(input.Count);
                input.RemoveRange(from, length);
                break;
            case 7:
                Insert(input, Below(input.Count + 1), Pick(Words));
                break;
            case 8:
                Splice(input, Pick(seeds));
                break;
            case 9 when input.Count > 0:
                (int start, int size) = Block(input.Count);
                Insert(input, Below(input.Count + 1), Repeat([.. input.GetRange(start, size)], 1 + Below(4)));
                break;
            case 10:
                ReplaceDigits(input);
                break;
            default:
                byte[] random = new byte[1 + Below(8)];
                for (int i = 0; i < random.Length; i++)
                {
                    random[i] = (byte)Below(256);
                }

                Insert(input, Below(input.Count + 1), random);
                break;
        }
    }

    // Binary formats: an extreme of 8 to 64 bits, in either byte order, or near the input's own length, which is where off-by-ones live.
    private void OverwriteNumber(List<byte> input)
    {
        long value = Below(4) == 0 ? input.Count + Below(33) - 16 : Extremes[Below(Extremes.Length)];
        byte[] bytes = new byte[sizeof(long)];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, value);
        int width = 1 << Below(4);
        byte[] number = bytes[..width];
        if (Below(4) == 0)
        {
            Array.Reverse(number);
        }

        int at = Below(input.Count);
        for (int i = 0; i < width && at + i < input.Count; i++)
        {
            input[at + i] = number[i];
        }
    }

    // Text formats: a run of digits becomes another number.
    private void ReplaceDigits(List<byte> input)
    {
        int at = input.FindIndex(Below(input.Count + 1), value => char.IsAsciiDigit((char)value));
        if (at < 0)
        {
            return;
        }

        int end = at;
        while (end < input.Count && char.IsAsciiDigit((char)input[end]))
        {
            end++;
        }

        input.RemoveRange(at, end - at);
        string number = Extremes[Below(Extremes.Length)].ToString(System.Globalization.CultureInfo.InvariantCulture);
        Insert(input, at, Encoding.ASCII.GetBytes(number));
    }

    private void Splice(List<byte> input, byte[] other)
    {
        int from = Below(other.Length + 1);
        int at = Below(input.Count + 1);
        input.RemoveRange(at, input.Count - at);
        Insert(input, at, other[from..]);
    }

    private (int Start, int Length) Block(int length)
    {
        int start = Below(length);
        return (start, 1 + Below(Math.Min(length - start, Below(2) == 0 ? 8 : length)));
    }

    private static byte[] Repeat(byte[] block, int times) => [.. Enumerable.Repeat(block, times).SelectMany(bytes => bytes)];

    private static void Insert(List<byte> input, int at, byte[] bytes)
    {
        if (input.Count + bytes.Length <= MaxLength)
        {
            input.InsertRange(at, bytes);
        }
    }

    private T Pick<T>(IReadOnlyList<T> items) => items[Below(items.Count)];

    // 0 to count - 1. The remainder is uneven by count in 2^64, which nothing here can tell.
    private int Below(int count)
    {
        unchecked
        {
            _state += 0x9E3779B97F4A7C15;
            ulong z = _state;
            z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
            z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
            return (int)((z ^ (z >> 31)) % (ulong)count);
        }
    }
}
