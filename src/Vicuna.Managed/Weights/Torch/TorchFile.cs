using Vicuna.Managed.Kernels.Memory;

namespace Vicuna.Managed.Weights.Torch;

/// <summary>
/// Reads PyTorch checkpoints (<c>pytorch_model*.bin</c> as <c>torch.save</c> writes them since PyTorch 1.6): a zip archive of stored records,
/// one of which is a pickle that names the tensors. The tensors' bytes are used where they lie. Layout: PyTorch's docs/source/notes/serialization.rst.
/// </summary>
internal static class TorchFile
{
    private const string PickleRecord = "data.pkl";
    private const string ByteOrderRecord = "byteorder";
    private const string StoragePrefix = "data/";
    private const int HeadBytes = 512;
    private const int TarMagicOffset = 257;
    private const int MaxByteOrderBytes = 16;

    /// <summary>Reads every tensor of a state dict.</summary>
    /// <param name="file">The whole file.</param>
    /// <param name="fileName">Its name without its folder, for messages and for the tensors.</param>
    /// <param name="verifyStorages">Whether to read all data once and compare it with its CRC-32. The pickle's is always compared.</param>
    /// <param name="cancellationToken">Looked at while data is verified.</param>
    /// <returns>The tensors in the order of the state dict; their names differ, their regions lie in the file and may be shared.</returns>
    /// <exception cref="ModelFormatException">The file is damaged, hostile, or of a kind that is not supported.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static IReadOnlyList<StoredTensor> Read(
        ByteRegion file, string fileName, bool verifyStorages = false, CancellationToken cancellationToken = default)
    {
        RefuseOtherKinds(file.Bytes(0, (int)Math.Min(file.Length, HeadBytes)), fileName);
        Dictionary<string, ZipEntry> records = Records(ZipDirectory.Read(file, fileName), fileName);
        if (!records.TryGetValue(PickleRecord, out ZipEntry? pickle))
        {
            throw new ModelFormatException(fileName, "a zip archive without a PyTorch checkpoint's pickle", PickleRecord);
        }

        if (pickle.Size > TorchUnpickler.MaxBytes)
        {
            throw new ModelFormatException(fileName, $"{pickle.Size} bytes; at most {TorchUnpickler.MaxBytes} are read", PickleRecord);
        }

        CheckByteOrder(file, records, fileName);
        CheckCrc(file, pickle, fileName, cancellationToken);
        Dictionary<string, ByteRegion> storages = new(StringComparer.Ordinal);
        foreach ((string name, ZipEntry entry) in records)
        {
            if (name.StartsWith(StoragePrefix, StringComparison.Ordinal))
            {
                storages.Add(name[StoragePrefix.Length..], file.Slice(entry.DataOffset, entry.Size));
            }
        }

        IReadOnlyList<StoredTensor> tensors =
            TorchStateDict.Resolve(TorchUnpickler.Read(file.Bytes(pickle.DataOffset, (int)pickle.Size), fileName), storages, fileName);
        if (verifyStorages)
        {
            foreach (ZipEntry entry in records.Values)
            {
                CheckCrc(file, entry, fileName, cancellationToken);
            }
        }

        return tensors;
    }

    // Keyed by their names below the archive's one top folder, which is called after the file's first name.
    private static Dictionary<string, ZipEntry> Records(IReadOnlyList<ZipEntry> entries, string fileName)
    {
        Dictionary<string, ZipEntry> records = new(StringComparer.Ordinal);
        string folder = entries.Count > 0 ? entries[0].Name[..(entries[0].Name.IndexOf('/', StringComparison.Ordinal) + 1)] : string.Empty;
        foreach (ZipEntry entry in entries)
        {
            if (folder.Length == 0 || !entry.Name.StartsWith(folder, StringComparison.Ordinal))
            {
                throw new ModelFormatException(
                    fileName, $"expected all records of the archive in one folder, {ModelFormatException.Quote(folder)}", entry.Name);
            }

            records.Add(entry.Name[folder.Length..], entry);
        }

        // First, because such an archive also holds other records that would be refused as unknown.
        if (records.ContainsKey("constants.pkl"))
        {
            throw new ModelFormatException(fileName, "a TorchScript program; only checkpoints saved with torch.save are read", "constants.pkl");
        }

        foreach ((string name, ZipEntry entry) in records)
        {
            bool known = name is PickleRecord or ByteOrderRecord or "version" or ".data/serialization_id" or ".format_version" or ".storage_alignment"
                || name.StartsWith(StoragePrefix, StringComparison.Ordinal);
            if (!known)
            {
                throw new ModelFormatException(fileName, "a record that PyTorch's checkpoints do not have", entry.Name);
            }
        }

        return records;
    }

    private static void CheckByteOrder(ByteRegion file, Dictionary<string, ZipEntry> records, string fileName)
    {
        if (!records.TryGetValue(ByteOrderRecord, out ZipEntry? entry))
        {
            return; // Written since PyTorch 2.1; without it PyTorch assumes little-endian too.
        }

        ReadOnlySpan<byte> order = file.Bytes(entry.DataOffset, (int)Math.Min(entry.Size, MaxByteOrderBytes));
        if (!order.SequenceEqual("little"u8))
        {
            string found = order.SequenceEqual("big"u8) ? "'big': save the checkpoint again on a little-endian machine" : $"{entry.Size} other bytes";
            throw new ModelFormatException(fileName, $"expected 'little', found {found}", ByteOrderRecord);
        }
    }

    private static void CheckCrc(ByteRegion file, ZipEntry entry, string fileName, CancellationToken cancellationToken)
    {
        uint crc = Crc32.Compute(file.Slice(entry.DataOffset, entry.Size), cancellationToken);
        if (crc != entry.Crc)
        {
            throw new ModelFormatException(fileName, $"expected CRC-32 {entry.Crc:X8}, found {crc:X8}: the file is damaged "
                + "(or was saved without checksums)", entry.Name);
        }
    }

    private static void RefuseOtherKinds(ReadOnlySpan<byte> head, string fileName)
    {
        if (head.StartsWith("PK\x03\x04"u8) || head.StartsWith("PK\x05\x06"u8))
        {
            return;
        }

        string kind = "not a zip archive, and so not a checkpoint that torch.save of PyTorch 1.6 or later wrote";
        if (head.StartsWith("version https://git-lfs"u8))
        {
            kind = "a Git LFS pointer, not the checkpoint itself: fetch it with 'git lfs pull'";
        }
        else if (head.StartsWith("PYTORCH1"u8))
        {
            kind = "a checkpoint of a PyTorch preview release, which is not supported: save it again with torch.save";
        }
        else if (head.Length > 1 && head[0] == (byte)PickleOp.Proto)
        {
            kind = "a pickle without an archive, as PyTorch wrote before 1.6: load it with PyTorch and save it again with torch.save";
        }
        else if (head.Length >= TarMagicOffset + 5 && head.Slice(TarMagicOffset, 5).SequenceEqual("ustar"u8))
        {
            kind = "a tar archive, PyTorch's oldest format, which is never read: load it with PyTorch and save it again with torch.save";
        }

        throw new ModelFormatException(fileName, $"{kind} (it starts with {Convert.ToHexString(head[..Math.Min(head.Length, 8)])})", item: null);
    }
}
