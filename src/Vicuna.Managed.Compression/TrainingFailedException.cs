using System.Globalization;

namespace Vicuna.Managed.Compression;

/// <summary>A training cannot go on: its loss or gradient is not a number. Nothing that was saved before has been changed.</summary>
public sealed class TrainingFailedException : InvalidOperationException
{
    /// <summary>Creates the exception.</summary>
    /// <param name="step">Steps that had been done.</param>
    /// <param name="loss">The loss, in nats.</param>
    /// <param name="gradientNorm">Euclidean norm of the gradient, dimensionless; null where none was computed.</param>
    public TrainingFailedException(int step, double loss, double? gradientNorm)
        : base(string.Create(
            CultureInfo.InvariantCulture,
            $"After {step} steps: expected a finite loss{(gradientNorm is null ? " of the held-out samples" : " and gradient")}, found loss {loss}"
            + $"{(gradientNorm is double norm ? string.Create(CultureInfo.InvariantCulture, $" and gradient norm {norm}") : "")}: "
            + "the learning rate is too high or the weights are damaged."))
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
}
