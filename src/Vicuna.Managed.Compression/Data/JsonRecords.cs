using System.Text;
using Vicuna.Managed.Kernels.Memory;

namespace Vicuna.Managed.Compression.Data;

/// <summary>
/// Finds the records of a JSON file of any size: the elements of one array, or one object a line (JSON lines). It only looks for where records end, so
/// that one that is damaged can be named, and the next one found; whether a record is JSON is its reader's to say.
/// </summary>
internal sealed class JsonRecords
{
    /// <summary>Largest record, in bytes.</summary>
    public const int MaxRecordBytes = 16 << 20;

    // Far more than published data sets have; what a record takes in memory is bounded by its size in the file anyhow.
    private const int MaxRecords = 20_000_000;
    private const int WindowBytes = 1 << 16;

    private readonly ByteRegion _file;
    private readonly string _name;

    /// <summary>Prepares to read a file.</summary>
    /// <param name="file">The whole file.</param>
    /// <param name="name">Its name, for messages.</param>
    public JsonRecords(ByteRegion file, string name)
    {
        _file = file;
        _name = name;
    }

    /// <summary>The first byte that is not white space or the mark of UTF-8; the file's length where there is none.</summary>
    public static long Start(ByteRegion file)
    {
        bool isMarked = file.Length >= 3 && file.Bytes(0, 3).SequenceEqual(Encoding.UTF8.Preamble);
        return SkipSpace(file, isMarked ? 3 : 0);
    }

    /// <summary>The records, in order.</summary>
    /// <exception cref="ModelFormatException">The file is neither an array nor lines of objects, ends inside a record, or a record is too large.</exception>
    public IEnumerable<JsonRecord> Read()
    {
        long start = Start(_file);
        int count = 0;
        foreach (JsonRecord record in IsAt(start, '[') ? Elements(start + 1) : Lines(start))
        {
            if (++count > MaxRecords)
            {
                throw new ModelFormatException(_name, $"expected at most {MaxRecords} records, found more", null);
            }

            yield return record;
        }
    }

    private static long SkipSpace(ByteRegion file, long at)
    {
        while (at < file.Length)
        {
            ReadOnlySpan<byte> window = file.Bytes(at, (int)Math.Min(WindowBytes, file.Length - at));
            int found = window.IndexOfAnyExcept(" \t\r\n"u8);
            if (found >= 0)
            {
                return at + found;
            }

            at += window.Length;
        }

        return at;
    }

    private IEnumerable<JsonRecord> Lines(long at)
    {
        long line = 1 + CountLines(0, at);
        while (at < _file.Length)
        {
            long end = EndOfLine(at);
            yield return Record($"line {line}", at, end);
            long next = SkipSpace(_file, end);
            line += CountLines(end, next);
            at = next;
        }
    }

    private IEnumerable<JsonRecord> Elements(long at)
    {
        at = SkipSpace(_file, at);
        if (IsAt(at, ']'))
        {
            CheckEnd(at + 1);
            yield break;
        }

        for (int number = 1; ; number++)
        {
            long end = EndOfElement(at, number);
            yield return Record($"element {number}", at, end);
            if (IsAt(end, ']'))
            {
                CheckEnd(end + 1);
                yield break;
            }

            at = SkipSpace(_file, end + 1);
        }
    }

    private JsonRecord Record(string place, long start, long end) => end - start <= MaxRecordBytes
        ? new JsonRecord(place, start, (int)(end - start))
        : throw new ModelFormatException(_name, $"{place}: expected at most {MaxRecordBytes} bytes, found {end - start}", null);

    private void CheckEnd(long at)
    {
        at = SkipSpace(_file, at);
        if (at < _file.Length)
        {
            throw new ModelFormatException(_name, $"expected nothing after the array, found byte 0x{_file.Bytes(at, 1)[0]:x2} at position {at}", null);
        }
    }

    private bool IsAt(long at, char symbol) => at < _file.Length && _file.Bytes(at, 1)[0] == symbol;

    private long CountLines(long start, long end)
    {
        long count = 0;
        for (long at = start; at < end; at += WindowBytes)
        {
            count += _file.Bytes(at, (int)Math.Min(WindowBytes, end - at)).Count((byte)'\n');
        }

        return count;
    }

    private long EndOfLine(long at)
    {
        while (at < _file.Length)
        {
            ReadOnlySpan<byte> window = _file.Bytes(at, (int)Math.Min(WindowBytes, _file.Length - at));
            int found = window.IndexOf((byte)'\n');
            if (found >= 0)
            {
                return at + found;
            }

            at += window.Length;
        }

        return at;
    }

    // The comma or bracket that ends an element: the first one outside its strings, objects and arrays.
    private long EndOfElement(long start, int number)
    {
        long depth = 0;
        bool inString = false;
        bool escaped = false;
        for (long at = start; at < _file.Length && at - start <= MaxRecordBytes;)
        {
            ReadOnlySpan<byte> window = _file.Bytes(at, (int)Math.Min(WindowBytes, _file.Length - at));
            for (int i = 0; i < window.Length; i++)
            {
                byte symbol = window[i];
                if (inString)
                {
                    inString = escaped || symbol != '"';
                    escaped = !escaped && symbol == '\\';
                }
                else if (depth == 0 && symbol is (byte)',' or (byte)']')
                {
                    return at + i;
                }
                else
                {
                    inString = symbol == '"';
                    depth += symbol is (byte)'{' or (byte)'[' ? 1 : symbol is (byte)'}' or (byte)']' && depth > 0 ? -1 : 0;
                }
            }

            at += window.Length;
        }

        throw new ModelFormatException(
            _name,
            $"element {number}: expected its end within {MaxRecordBytes} bytes, found none: a quote or bracket is missing, or the file is an incomplete download",
            null);
    }
}
