using System.Numerics.Tensors;

namespace Vicuna.Managed.Kernels.Ops;

/// <summary>The loss of next-token prediction: -log softmax(logits)[target], in nats.</summary>
internal static class CrossEntropy
{
    /// <summary>The loss of one prediction.</summary>
    /// <param name="logits">f32 <c>[V]</c>; void afterwards.</param>
    /// <param name="target">The right token id, 0 to V - 1.</param>
    public static double Forward(Span<float> logits, int target)
    {
        (double sum, double shifted) = Exponentials(logits, target);
        return Math.Log(sum) - shifted;
    }

    /// <summary>The loss, and scale times its gradient in the place of the logits: scale · (softmax - 1 at the target).</summary>
    /// <param name="logits">f32 <c>[V]</c>; receives the gradient.</param>
    /// <param name="target">The right token id, 0 to V - 1.</param>
    /// <param name="scale">Factor of the gradient, dimensionless.</param>
    public static double Backward(Span<float> logits, int target, float scale)
    {
        (double sum, double shifted) = Exponentials(logits, target);
        TensorPrimitives.Multiply(logits, (float)(scale / sum), logits);
        logits[target] -= scale;
        return Math.Log(sum) - shifted;
    }

    // e^(x - max) in place, their sum, and the target's x - max.
    private static (double Sum, double Shifted) Exponentials(Span<float> logits, int target)
    {
        float largest = TensorPrimitives.Max(logits);
        double shifted = (double)logits[target] - largest;
        TensorPrimitives.Subtract(logits, largest, logits);
        TensorPrimitives.Exp(logits, logits);
        return (TensorPrimitives.Sum(logits), shifted);
    }
}
