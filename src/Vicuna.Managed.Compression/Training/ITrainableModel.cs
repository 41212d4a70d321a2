namespace Vicuna.Managed.Compression.Training;

/// <summary>What the trainer sees of a model: parameters, and a loss with its gradient.</summary>
internal interface ITrainableModel
{
    /// <summary>What is trained, in a fixed order.</summary>
    IReadOnlyList<TrainableParameter> Parameters { get; }

    /// <summary>
    /// Adds the gradient of scale · Σ -log p(target) to the parameters' gradients. The same arguments give the same bits, whatever the number of threads.
    /// </summary>
    /// <param name="samples">A micro-batch, <c>[count]</c>.</param>
    /// <param name="scale">Factor of the sum, dimensionless.</param>
    /// <param name="dropoutSeed">Chooses what dropout leaves out; another one for every micro-batch of a run.</param>
    /// <param name="cancellationToken">Stops the work; the gradients are void then.</param>
    /// <returns>Σ -log p(target) over all targets of the batch, in nats; not scaled.</returns>
    double Accumulate(IReadOnlyList<TrainingSample> samples, float scale, ulong dropoutSeed, CancellationToken cancellationToken);

    /// <summary>The same sum without gradient and without dropout.</summary>
    /// <param name="samples">A micro-batch, <c>[count]</c>.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    double Evaluate(IReadOnlyList<TrainingSample> samples, CancellationToken cancellationToken);
}
