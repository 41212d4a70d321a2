using Vicuna.Managed.Kernels.Memory;

namespace Vicuna.Managed.Weights.Torch;

/// <summary>Turns what a pickle says of its tensors into tensors that lie in the file, after comparing it with the records that are there.</summary>
internal static class TorchStateDict
{
    /// <summary>Resolves all tensors.</summary>
    /// <param name="pickle">What the pickle says.</param>
    /// <param name="records">The storages' bytes by key; each must be named by the pickle, with its exact size.</param>
    /// <param name="fileName">The file's name, for messages and for the tensors.</param>
    /// <exception cref="ModelFormatException">A storage or a tensor does not fit.</exception>
    public static IReadOnlyList<StoredTensor> Resolve(TorchPickle pickle, IReadOnlyDictionary<string, ByteRegion> records, string fileName)
    {
        foreach (TorchStorage storage in pickle.Storages.Values)
        {
            CheckStorage(storage, records, fileName);
        }

        foreach (string key in records.Keys)
        {
            if (!pickle.Storages.ContainsKey(key))
            {
                throw new ModelFormatException(fileName, "a record that the pickle does not name", "data/" + key);
            }
        }

        List<StoredTensor> tensors = new(pickle.Tensors.Count);
        foreach ((string name, TorchTensor tensor) in pickle.Tensors)
        {
            tensors.Add(Resolve(name, tensor, records[tensor.Storage.Key], fileName));
        }

        return tensors;
    }

    private static void CheckStorage(TorchStorage storage, IReadOnlyDictionary<string, ByteRegion> records, string fileName)
    {
        string item = "data/" + storage.Key;
        if (!records.TryGetValue(storage.Key, out ByteRegion record))
        {
            throw new ModelFormatException(fileName, "the pickle names this record, and the archive does not hold it", item);
        }

        // Divides instead of multiplying: the claimed count may be anything.
        int size = storage.Type.BlockBytes();
        if (record.Length % size != 0 || record.Length / size != storage.Count)
        {
            throw new ModelFormatException(fileName, $"expected {storage.Count} elements of {size} bytes, found {record.Length} bytes", item);
        }
    }

    private static StoredTensor Resolve(string name, TorchTensor tensor, ByteRegion record, string fileName)
    {
        TensorInfo info = new(name, tensor.Storage.Type, tensor.Shape, ByteLength: 0, fileName);
        if (tensor.Strides.Length != tensor.Shape.Length)
        {
            throw new ModelFormatException(fileName, $"expected as many strides as dimensions, found {tensor.Strides.Length} and {tensor.Shape.Length}", name);
        }

        long count;
        try
        {
            count = info.ElementCount;
        }
        catch (OverflowException)
        {
            throw new ModelFormatException(fileName, $"shape {info.ShapeText} is negative or too large", name);
        }

        if (!IsRowMajor(tensor, count))
        {
            throw new ModelFormatException(fileName, $"strides [{string.Join(", ", tensor.Strides)}] are not the contiguous ones of shape {info.ShapeText}: "
                + "save the checkpoint again with contiguous tensors", name);
        }

        if (tensor.Offset < 0 || tensor.Offset > tensor.Storage.Count - count)
        {
            throw new ModelFormatException(
                fileName, $"{count} elements from element {tensor.Offset} do not lie in its storage of {tensor.Storage.Count}", name);
        }

        // Both products are at most the record's length.
        int size = tensor.Storage.Type.BlockBytes();
        return new StoredTensor(info with { ByteLength = count * size }, record.Slice(tensor.Offset * size, count * size));
    }

    // As PyTorch has it, the stride of a dimension of size 1 says nothing, nor does any stride of an empty tensor.
    private static bool IsRowMajor(TorchTensor tensor, long count)
    {
        long expected = 1;
        for (int i = tensor.Shape.Length - 1; i >= 0; i--)
        {
            if (tensor.Strides[i] < 0 || (count > 0 && tensor.Shape[i] != 1 && tensor.Strides[i] != expected))
            {
                return false;
            }

            expected = count > 0 ? expected * tensor.Shape[i] : 1;
        }

        return true;
    }
}
