using System.Globalization;
using System.Runtime.ExceptionServices;
using Vicuna.Managed.Kernels.Formats;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Weights;

namespace Vicuna.Managed.Compression.Conversion;

/// <summary>
/// Carries tensors from mapped files to new ones, a piece at a time: bytes as they are where the type stays, otherwise widened to f32 and stored anew, by
/// all processors. The bytes written do not depend on their number.
/// </summary>
internal sealed class TensorCopier
{
    // Large enough to keep disk and processors busy, small enough to be no part of anyone's memory budget.
    private const int PieceBytes = 16 << 20;

    // Elements that one processor stores at a time.
    private const int PartElements = 1 << 18;

    private readonly Dictionary<string, OutputTensor> _tensors;
    private readonly IProgress<LoadProgress>? _progress;
    private readonly CancellationToken _cancellationToken;
    private readonly long _total;
    private readonly byte[] _buffer = new byte[PieceBytes];
    private long _done;

    /// <summary>Prepares to write.</summary>
    /// <param name="tensors">All tensors of all files.</param>
    /// <param name="progress">Hears how many bytes are written; may be null.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public TensorCopier(IEnumerable<OutputTensor> tensors, IProgress<LoadProgress>? progress, CancellationToken cancellationToken)
    {
        _tensors = tensors.ToDictionary(tensor => tensor.Name, StringComparer.Ordinal);
        _progress = progress;
        _cancellationToken = cancellationToken;
        _total = TotalBytes(_tensors.Values);
    }

    /// <summary>Bytes that tensors take when they are written.</summary>
    public static long TotalBytes(IEnumerable<OutputTensor> tensors) => tensors.Sum(tensor => Checkpoints.WeightShards.Bytes(tensor.Spec));

    /// <summary>Writes all tensors of one file.</summary>
    /// <param name="writer">The file.</param>
    /// <param name="fileName">Its name, for <see cref="LoadProgress"/>.</param>
    /// <exception cref="ModelFormatException">A value does not fit the new type.</exception>
    /// <exception cref="IOException">The file cannot be written.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public void WriteAll(ITensorWriter writer, string fileName)
    {
        foreach (TensorInfo target in writer.Order)
        {
            OutputTensor tensor = _tensors[target.Name];
            if (tensor.Type == tensor.Source.Info.Type && tensor.RowOrder is null && tensor.Change is null)
            {
                Copy(tensor.Source.Region, bytes => Write(writer, bytes, fileName));
            }
            else
            {
                Store(tensor, target, bytes => Write(writer, bytes, fileName));
            }

            tensor.Source.Region.Forget();
        }
    }

    private void Write(ITensorWriter writer, int bytes, string fileName)
    {
        writer.Write(_buffer.AsSpan(0, bytes));
        _progress?.Report(new LoadProgress(fileName, _done += bytes, _total));
    }

    private void Copy(ByteRegion source, Action<int> write)
    {
        for (long start = 0; start < source.Length; start += PieceBytes)
        {
            _cancellationToken.ThrowIfCancellationRequested();
            int bytes = (int)Math.Min(PieceBytes, source.Length - start);
            source.Bytes(start, bytes).CopyTo(_buffer);
            write(bytes);
        }
    }

    // Rows are what is put in order and what blocks do not cross; a vector is one row.
    private void Store(OutputTensor tensor, TensorInfo target, Action<int> write)
    {
        int columns = checked((int)target.Shape[^1]);
        int rows = checked((int)(target.ElementCount / Math.Max(columns, 1)));
        int rowBytes = columns / target.Type.BlockElements() * target.Type.BlockBytes();
        int rowsPerPiece = PieceBytes / Math.Max(rowBytes, 1);
        int rowsPerPart = Math.Max(PartElements / Math.Max(columns, 1), 1);
        if (rowsPerPiece == 0)
        {
            throw Wrong(tensor.Source, $"expected rows of at most {PieceBytes} bytes, found {rowBytes}");
        }

        // A bias of a projection whose rows are put in order has its elements in the order of those rows.
        if (target.Shape.Length == 1 && tensor.RowOrder is not null)
        {
            (rows, columns, rowBytes) = (columns, 1, target.Type.BlockBytes());
            (rowsPerPiece, rowsPerPart) = (PieceBytes / rowBytes, PartElements);
        }

        for (int first = 0; first < rows; first += rowsPerPiece)
        {
            _cancellationToken.ThrowIfCancellationRequested();
            int count = Math.Min(rowsPerPiece, rows - first);
            int start = first;
            InParallel((count + rowsPerPart - 1) / rowsPerPart, part =>
            {
                int from = start + (part * rowsPerPart);
                int to = Math.Min(from + rowsPerPart, start + count);
                StoreRows(tensor, target.Type, columns, from, to, _buffer.AsSpan((from - start) * rowBytes, (to - from) * rowBytes));
            });
            write(count * rowBytes);
        }
    }

    private static void StoreRows(OutputTensor tensor, TensorType type, int columns, int from, int to, Span<byte> destination)
    {
        StoredTensor source = tensor.Source;
        WeightFormat format = WeightFormats.Find(source.Info.Type.ToString().ToLowerInvariant())
            ?? throw Wrong(source, $"expected weights stored as one of {string.Join(", ", WeightFormats.All.Select(f => f.Name))}, found {source.Info.Type}");
        if (columns % format.BlockElements != 0)
        {
            throw Wrong(source, $"expected rows of whole blocks of {format.BlockElements} ({format.Name}), found {columns} columns");
        }

        int sourceBytes = columns / format.BlockElements * format.BlockBytes;
        int targetBytes = destination.Length / (to - from);
        bool isAsStored = type == source.Info.Type && tensor.Change is null;
        float[] values = isAsStored ? [] : new float[columns];
        for (int row = from; row < to; row++)
        {
            int sourceRow = tensor.RowOrder?.Invoke(row) ?? row;
            ReadOnlySpan<byte> stored = source.Region.Bytes((long)sourceRow * sourceBytes, sourceBytes);
            Span<byte> target = destination.Slice((row - from) * targetBytes, targetBytes);
            if (isAsStored)
            {
                stored.CopyTo(target);
                continue;
            }

            format.Dequantize(stored, values);
            tensor.Change?.Invoke(row, values);
            if (WeightEncoder.Encode(type, values, target) is { } wrong)
            {
                throw Wrong(source, string.Create(CultureInfo.InvariantCulture, $"expected values within the range of {type}, found {wrong:R} in row {sourceRow}"));
            }
        }
    }

    private static ModelFormatException Wrong(StoredTensor source, string problem) => new(source.Info.FileName, problem, source.Info.Name);

    private static void InParallel(int parts, Action<int> work)
    {
        try
        {
            Parallel.For(0, parts, work);
        }
        catch (AggregateException e) when (e.InnerException is { } cause)
        {
            ExceptionDispatchInfo.Throw(cause);
        }
    }
}
