using System.Text;

namespace Vicuna.Managed.Tokenization;

/// <summary>What every piece decodes to, in UTF-8: text with ▁ as a space, a byte piece's byte, nothing for control pieces.</summary>
internal sealed class PieceBytes
{
    private const char EscapedSpace = '\u2581';

    private readonly byte[] _bytes;
    private readonly int[] _ends;

    /// <summary>Builds the table for the vocabulary of <paramref name="model"/>.</summary>
    public PieceBytes(SentencePieceModel model)
    {
        List<byte> bytes = new(model.Count * 8);
        byte[] scratch = [];
        _ends = new int[model.Count];
        for (int id = 0; id < model.Count; id++)
        {
            switch (model.Types[id])
            {
                case PieceType.Control:
                    break;
                case PieceType.Byte:
                    bytes.Add((byte)(id - model.FirstByteId));
                    break;
                case PieceType.Unknown:
                    bytes.AddRange(Encoding.UTF8.GetBytes(model.Options.UnknownSurface));
                    break;
                default:
                    string text = model.Pieces[id].Replace(EscapedSpace, ' ');
                    int most = Encoding.UTF8.GetMaxByteCount(text.Length);
                    scratch = scratch.Length < most ? new byte[most] : scratch;
                    bytes.AddRange(scratch.AsSpan(0, Encoding.UTF8.GetBytes(text, scratch)));
                    break;
            }

            _ends[id] = bytes.Count;
        }

        _bytes = [.. bytes];
    }

    /// <summary>The bytes of piece <paramref name="id"/>.</summary>
    public ReadOnlySpan<byte> this[int id] => _bytes.AsSpan((id == 0 ? 0 : _ends[id - 1]).._ends[id]);
}
