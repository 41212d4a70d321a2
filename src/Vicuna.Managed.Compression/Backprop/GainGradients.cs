using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Kernels.Ops;

namespace Vicuna.Managed.Compression.Backprop;

/// <summary>Sums the gradient of a gain over tokens, columns split over the threads.</summary>
internal static class GainGradients
{
    private const int ColumnBlock = 64;

    /// <summary>Adds the gradient; see <see cref="RmsNorm.GainBackward"/>.</summary>
    public static void Add(
        PassContext context, AlignedBuffer x, AlignedBuffer outputGradient, AlignedBuffer scales, int tokens, AlignedBuffer destination, CancellationToken cancellationToken)
    {
        int hidden = context.Config.HiddenSize;
        int blocks = (hidden + ColumnBlock - 1) / ColumnBlock;
        context.ForRows(blocks, tokens * ColumnBlock, (start, end, scratch) =>
        {
            for (int block = start; block < end; block++)
            {
                int first = block * ColumnBlock;
                RmsNorm.GainBackward(
                    x.Floats(0, tokens * hidden), outputGradient.Floats(0, tokens * hidden), scales.Floats(0, tokens), first,
                    destination.Floats(first, Math.Min(ColumnBlock, hidden - first)), scratch);
            }
        }, cancellationToken);
    }
}
