using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.Kernels;

/// <summary>Operands of an operation, each between guard pages of its own, all at their ends or all at their starts.</summary>
internal sealed class GuardedFloats : IDisposable
{
    private readonly GuardedBuffer[] _buffers;

    public GuardedFloats(int operands, int elements) =>
        _buffers = [.. Enumerable.Range(0, operands).Select(_ => GuardedBuffer.Allocate(elements * sizeof(float)))];

    public bool AtEnd { get; set; }

    public Span<float> Copy(int operand, ReadOnlySpan<float> content) => _buffers[operand].Copy(content, AtEnd);

    /// <summary>An operand full of NaN.</summary>
    public Span<float> Blank(int operand, int count) => _buffers[operand].Slice<float>(count, AtEnd);

    public void Dispose()
    {
        foreach (GuardedBuffer buffer in _buffers)
        {
            buffer.Dispose();
        }
    }
}
