namespace Vicuna.Managed.Kernels.Formats.Packed;

/// <summary>The sizes that all packed formats share.</summary>
internal static class PackedLayout
{
    /// <summary>Rows of a block, side by side.</summary>
    public const int BlockRows = 16;

    /// <summary>Columns of a group: they share a scale, row by row.</summary>
    public const int GroupColumns = 32;

    /// <summary>Tokens of a tile of activations.</summary>
    public const int TileTokens = 4;

    /// <summary>Groups of a row; the last may be filled up with zeros.</summary>
    public static int Groups(int columns) => (int)((columns + (GroupColumns - 1L)) / GroupColumns);

    /// <summary>Blocks of a matrix; the last may be filled up with rows of zeros.</summary>
    public static int Blocks(int rows) => (int)((rows + (BlockRows - 1L)) / BlockRows);

    /// <summary>Bytes of a matrix: whole blocks of whole groups.</summary>
    /// <param name="rows">Rows, dimensionless.</param>
    /// <param name="columns">Columns, dimensionless.</param>
    /// <param name="groupBytes">Bytes of one group.</param>
    public static long Bytes(long rows, long columns, int groupBytes) =>
        checked((rows + (BlockRows - 1)) / BlockRows * ((columns + (GroupColumns - 1)) / GroupColumns) * groupBytes);

    /// <summary>Tiles of tokens. One token alone is laid out without a tile's gaps.</summary>
    public static int Tiles(int tokens) => (tokens + TileTokens - 1) / TileTokens;

    /// <summary>Checks the arguments of a product.</summary>
    /// <param name="blockBytes">Length of the block.</param>
    /// <param name="expectedBytes">Length that it should have.</param>
    /// <param name="activations">Length of X laid out.</param>
    /// <param name="expectedActivations">Length that it needs.</param>
    /// <param name="tokens">Rows of X.</param>
    /// <param name="firstTile">First tile of tokens.</param>
    /// <param name="tiles">Tiles of tokens.</param>
    /// <param name="destination">Length of Y.</param>
    /// <param name="stride">Distance between two tokens of Y.</param>
    /// <exception cref="ArgumentException">They do not fit together.</exception>
    public static void Check(
        int blockBytes, long expectedBytes, int activations, long expectedActivations, int tokens, int firstTile, int tiles, int destination, int stride)
    {
        int written = tokens == 1 ? 1 : tiles * TileTokens;
        if (blockBytes != expectedBytes || activations < expectedActivations || tokens < 1 || firstTile < 0 || tiles is < 1 or > 3
            || firstTile + tiles > Tiles(tokens) || stride < BlockRows || destination < ((written - 1L) * stride) + BlockRows)
        {
            throw new ArgumentException(
                $"A block of {blockBytes} bytes (expected {expectedBytes}), {activations} integers of X (expected {expectedActivations} for {tokens} tokens), tiles {firstTile} to {firstTile + tiles - 1} and Y [{destination}] with stride {stride} do not fit together.");
        }
    }
}
