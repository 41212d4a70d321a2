namespace Vicuna.Managed.Compression;

/// <summary>A training cannot go on: its loss or gradient is not a number. Nothing that was saved before has been changed.</summary>
public sealed class TrainingFailedException : InvalidOperationException
{
    /// <summary>Creates the exception.</summary>
    /// <param name="step">Steps that had been done.</param>
    /// <param name="loss">The loss, in nats.</param>
    /// <param name="gradientNorm">Euclidean norm of the gradient, dimensionless; null where none was computed.</param>
    public TrainingFailedException(int step, double loss, double? gradientNorm)
        : base(Text(step, loss, gradientNorm))
    {
        Step = step;
        Loss = loss;
        GradientNorm = gradientNorm;
    }

    /// <summary>Steps that had been done.</summary>
    public int Step { get; }

    /// <summary>The loss, in nats.</summary>
    public double Loss { get; }

    /// <summary>Euclidean norm of the gradient, dimensionless; null where none was computed.</summary>
    public double? GradientNorm { get; }

    private static string Text(int step, double loss, double? gradientNorm)
    {
        string found = gradientNorm is double norm
            ? FormattableString.Invariant($"expected a finite loss and gradient, found loss {loss} and gradient norm {norm}")
            : FormattableString.Invariant($"expected a finite loss of the held-out samples, found {loss}");
        return $"After {step} steps: {found}: the learning rate is too high, or the weights are damaged.";
    }
}
