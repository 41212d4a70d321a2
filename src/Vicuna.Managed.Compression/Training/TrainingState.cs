using Vicuna.Managed.Kernels.Memory;

namespace Vicuna.Managed.Compression.Training;

/// <summary>
/// All that a training knows beside the parameters themselves at the end of a step. With the parameters it is what a run resumes from: the order of the
/// data, dropout and the learning rate are functions of the step's number.
/// </summary>
internal sealed class TrainingState : IDisposable
{
    private readonly IReadOnlyList<TrainableParameter> _parameters;
    private AlignedBuffer[]? _best;

    /// <summary>The state before the first step.</summary>
    public TrainingState(IReadOnlyList<TrainableParameter> parameters)
    {
        _parameters = parameters;
        Means = Buffers();
        Squares = Buffers();
    }

    /// <summary>The optimizer's m of every parameter, f32.</summary>
    public IReadOnlyList<AlignedBuffer> Means { get; }

    /// <summary>The optimizer's v of every parameter, f32.</summary>
    public IReadOnlyList<AlignedBuffer> Squares { get; }

    /// <summary>Loss of every step that has been done, in nats.</summary>
    public List<double> Losses { get; } = [];

    /// <summary>Gradient norm of every step that has been done.</summary>
    public List<double> GradientNorms { get; } = [];

    /// <summary>The measurements on the held-out samples.</summary>
    public List<ValidationLoss> Validations { get; } = [];

    /// <summary>Steps done.</summary>
    public int Step => Losses.Count;

    /// <summary>Steps after which <see cref="Best"/> was kept; -1 = never.</summary>
    public int BestStep { get; set; } = -1;

    /// <summary>Whether all is done and the parameters are those to be kept; the optimizer's numbers are void then.</summary>
    public bool IsFinished { get; set; }

    /// <summary>Values of the parameters with the lowest loss so far, f32; memory is taken when they are first asked for.</summary>
    public IReadOnlyList<AlignedBuffer> Best => _best ??= Buffers();

    /// <summary>Notes a measurement; the parameters are kept if it is the lowest.</summary>
    public void Note(ValidationLoss validation)
    {
        bool isBest = Validations.All(earlier => validation.Loss < earlier.Loss);
        Validations.Add(validation);
        if (!isBest)
        {
            return;
        }

        BestStep = validation.Step;
        for (int i = 0; i < _parameters.Count; i++)
        {
            _parameters[i].Value.Floats(0, _parameters[i].Length).CopyTo(Best[i].Floats(0, _parameters[i].Length));
        }
    }

    /// <summary>Gives the parameters the values that were kept, where some were.</summary>
    public void RestoreBest()
    {
        for (int i = 0; BestStep >= 0 && i < _parameters.Count; i++)
        {
            Best[i].Floats(0, _parameters[i].Length).CopyTo(_parameters[i].Value.Floats(0, _parameters[i].Length));
        }
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        foreach (AlignedBuffer buffer in Means.Concat(Squares).Concat(_best ?? []))
        {
            buffer.Dispose();
        }
    }

    private AlignedBuffer[] Buffers() => [.. _parameters.Select(parameter => AlignedBuffer.AllocateFloats(parameter.Length))];
}
