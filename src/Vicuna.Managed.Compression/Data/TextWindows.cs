using System.Text;
using System.Text.Unicode;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Tokenization;

namespace Vicuna.Managed.Compression.Data;

/// <summary>Makes samples of a plain text: it is encoded as a whole and cut into windows, each with the beginning-of-sequence id in front.</summary>
internal static class TextWindows
{
    private const int MaxBytes = 1 << 28;

    /// <summary>Cuts a text; the last window may be shorter.</summary>
    /// <exception cref="ModelFormatException">The file is too large or not UTF-8.</exception>
    public static void Read(ByteRegion file, string name, SentencePieceTokenizer tokenizer, SampleBuilder builder, CancellationToken cancellationToken)
    {
        if (file.Length > MaxBytes)
        {
            throw new ModelFormatException(name, $"expected a text of at most {MaxBytes} bytes, found {file.Length}: cut it into several", null);
        }

        ReadOnlySpan<byte> bytes = file.Bytes(0, (int)file.Length);
        if (!Utf8.IsValid(bytes))
        {
            throw new ModelFormatException(name, "expected UTF-8 text, found other bytes", null);
        }

        bytes = bytes.StartsWith(Encoding.UTF8.Preamble) ? bytes[Encoding.UTF8.Preamble.Length..] : bytes;
        cancellationToken.ThrowIfCancellationRequested();
        int[] bos = tokenizer.AddBos ? [tokenizer.BosId!.Value] : [];
        foreach (int[] window in tokenizer.Encode(Encoding.UTF8.GetString(bytes), addBos: false).Chunk(builder.Cutoff - bos.Length))
        {
            builder.AddRecord([.. bos, .. window], static _ => true);
        }
    }
}
