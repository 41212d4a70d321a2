using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using Vicuna.Managed.Kernels.Memory;

namespace Vicuna.Managed.Compression.Training;

/// <summary>
/// Trains a model of any kind: epochs of shuffled batches, clipped gradients, AdamW, held-out samples, saved states.
/// The loss of a step is the mean over all targets of its batch, however they are spread over micro-batches. (Hugging Face's trainer averages the means of
/// the micro-batches, which gives a target in a short answer more weight than one in a long answer.)
/// </summary>
internal sealed class Trainer
{
    private readonly ITrainableModel _model;
    private readonly TrainingOptions _options;
    private readonly string? _statePath;
    private readonly TrainingClock _clock;
    private readonly TrainingSample[] _training;
    private readonly TrainingSample[] _validation;
    private readonly int _stepsPerEpoch;
    private readonly int _steps;
    private readonly SortedDictionary<string, string> _settings;
    private readonly AdamW _optimizer;
    private (int Epoch, int[] Order) _epoch = (-1, []);
    private (int Step, int Validations) _saved;
    private long _savedAt;

    /// <summary>Prepares a training.</summary>
    /// <param name="model">The model; its parameters are as they are to be before the first step, also where a saved state is resumed.</param>
    /// <param name="data">The samples, two or more.</param>
    /// <param name="options">How to train.</param>
    /// <param name="identity">What a saved state must agree in beside options, data and parameters: the model that the parameters adapt.</param>
    /// <param name="statePath">Where the state is saved; null = nowhere.</param>
    /// <param name="time">The clock; null = the system's.</param>
    /// <exception cref="ArgumentException">An option is out of range, or there is no sample.</exception>
    public Trainer(ITrainableModel model, IReadOnlyList<TrainingSample> data, TrainingOptions options, string identity, string? statePath, TimeProvider? time = null)
    {
        options.Check();
        if (data.Count == 0)
        {
            throw new ArgumentException("Expected one or more samples to learn from, found none.", nameof(data));
        }

        _model = model;
        _options = options;
        _statePath = statePath;
        _clock = new TrainingClock(time ?? TimeProvider.System);
        (int[] training, int[] validation) = DataOrder.Split(data.Count, Math.Min(options.ValidationSamples, data.Count / 10), options.Seed);
        _training = [.. training.Select(i => data[i])];
        _validation = [.. validation.Select(i => data[i])];
        _stepsPerEpoch = (_training.Length + options.BatchSize - 1) / options.BatchSize;
        _steps = checked(_stepsPerEpoch * options.Epochs);
        _optimizer = new AdamW(options);
        _settings = options.Settings();
        _settings["model"] = identity;
        _settings["data"] = HashOfData(data);
        _settings["weights at the start"] = HashOfParameters(model.Parameters);
    }

    /// <summary>Trains from the start, or from the saved state. Afterwards the parameters are those with the lowest loss on the held-out samples.</summary>
    /// <param name="progress">Hears of every step; may be null.</param>
    /// <param name="cancellationToken">Stops the work at once; the state after the last whole step is saved first.</param>
    /// <exception cref="IOException">There is a saved state and it is not to be resumed, or the state cannot be written.</exception>
    /// <exception cref="ModelFormatException">The saved state is damaged or of another run.</exception>
    /// <exception cref="TrainingFailedException">A loss or a gradient is not a number.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public TrainingReport Run(IProgress<TrainingProgress>? progress, CancellationToken cancellationToken)
    {
        long began = _clock.Now;
        using TrainingState state = new(_model.Parameters);
        Load(state);
        int resumedAt = state.Step;
        bool wasFinished = state.IsFinished;
        if (!wasFinished)
        {
            Train(state, progress, cancellationToken);
            state.IsFinished = true;
            Save(state);
        }

        state.RestoreBest();
        return new TrainingReport
        {
            Losses = [.. state.Losses],
            LearningRates = [.. Enumerable.Range(0, _steps).Select(RateOf)],
            GradientNorms = [.. state.GradientNorms],
            Validations = [.. state.Validations],
            BestStep = state.BestStep >= 0 ? state.BestStep : _steps,
            TrainingSamples = _training.Length,
            ValidationSamples = _validation.Length,
            ResumedAtStep = resumedAt,
            WasFinished = wasFinished,
            Elapsed = _clock.Since(began),
        };
    }

    private static string HashOfData(IReadOnlyList<TrainingSample> data)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (TrainingSample sample in data)
        {
            hash.AppendData(MemoryMarshal.AsBytes<int>([sample.Ids.Count]));
            hash.AppendData(MemoryMarshal.AsBytes(sample.Ids.ToArray().AsSpan()));
            hash.AppendData(MemoryMarshal.AsBytes(sample.Targets.ToArray().AsSpan()));
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static string HashOfParameters(IReadOnlyList<TrainableParameter> parameters)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (TrainableParameter parameter in parameters)
        {
            hash.AppendData(Encoding.UTF8.GetBytes($"{parameter.Name} [{string.Join(", ", parameter.Shape)}]\n"));
            hash.AppendData(MemoryMarshal.AsBytes(parameter.Value.Floats(0, parameter.Length)));
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private void Load(TrainingState state)
    {
        _savedAt = _clock.Now;
        if (!File.Exists(_statePath))
        {
            return;
        }

        if (!_options.Resume)
        {
            throw new IOException($"{_statePath}: a training was begun here: resume it, or train in another folder.");
        }

        using AlignedBuffer file = MappedFile.LoadResident(_statePath, progress: null, CancellationToken.None);
        TrainingStateFile.Read(file.Region, _statePath, _model.Parameters, state, _settings, _steps);
        _saved = (state.Step, state.Validations.Count);
    }

    private void Train(TrainingState state, IProgress<TrainingProgress>? progress, CancellationToken cancellationToken)
    {
        try
        {
            while (true)
            {
                // Saved before it is measured: a measurement can be long, and is done again from here with the same result.
                SaveIfDue(state);
                if (IsEvaluated(state.Step) && state.Validations.LastOrDefault()?.Step != state.Step)
                {
                    Evaluate(state, progress, cancellationToken);
                }

                if (state.Step == _steps)
                {
                    return;
                }

                Step(state, progress, cancellationToken);
            }
        }
        catch (OperationCanceledException) when (_saved != (state.Step, state.Validations.Count))
        {
            // The step under way has not touched the parameters: they change at its end, all at once.
            Save(state);
            throw;
        }
    }

    private void Step(TrainingState state, IProgress<TrainingProgress>? progress, CancellationToken cancellationToken)
    {
        long began = _clock.Now;
        TrainingSample[] batch = BatchOf(state.Step);
        foreach (TrainableParameter parameter in _model.Parameters)
        {
            parameter.Gradient.Floats(0, parameter.Length).Clear();
        }

        long targets = batch.Sum(sample => (long)sample.TargetCount);
        double sum = 0;
        int number = 0;
        foreach (TrainingSample[] microBatch in batch.Chunk(_options.MicroBatchSize))
        {
            cancellationToken.ThrowIfCancellationRequested();
            sum += _model.Accumulate(microBatch, (float)(1.0 / targets), DataOrder.DropoutSeed(_options.Seed, state.Step, number++), cancellationToken);
        }

        cancellationToken.ThrowIfCancellationRequested();
        double loss = sum / targets;
        double norm = GradientNorm.Of(_model.Parameters);
        if (!double.IsFinite(loss) || !double.IsFinite(norm))
        {
            throw new TrainingFailedException(state.Step, loss, norm);
        }

        double rate = RateOf(state.Step);
        double clip = GradientNorm.ClipFactor(norm, _options.ClipNorm);
        for (int i = 0; i < _model.Parameters.Count; i++)
        {
            TrainableParameter parameter = _model.Parameters[i];
            int length = parameter.Length;
            _optimizer.Update(
                parameter.Value.Floats(0, length), parameter.Gradient.Floats(0, length), state.Means[i].Floats(0, length), state.Squares[i].Floats(0, length),
                state.Step, rate, clip, decays: parameter.Shape.Count > 1);
        }

        state.Losses.Add(loss);
        state.GradientNorms.Add(norm);
        double seconds = _clock.EndStep(began);
        Report(state, progress, batch.Sum(sample => (long)sample.Ids.Count) / Math.Max(1e-9, seconds), validationDone: null, validationLoss: null);
    }

    private void Evaluate(TrainingState state, IProgress<TrainingProgress>? progress, CancellationToken cancellationToken)
    {
        long began = _clock.Now;
        double sum = 0;
        int done = 0;
        foreach (TrainingSample[] microBatch in _validation.Chunk(_options.MicroBatchSize))
        {
            cancellationToken.ThrowIfCancellationRequested();
            sum += _model.Evaluate(microBatch, cancellationToken);
            done += microBatch.Length;
            if (done < _validation.Length)
            {
                Report(state, progress, tokensPerSecond: 0, done, validationLoss: null);
            }
        }

        double loss = sum / _validation.Sum(sample => (long)sample.TargetCount);
        if (!double.IsFinite(loss))
        {
            throw new TrainingFailedException(state.Step, loss, gradientNorm: null);
        }

        state.Note(new ValidationLoss(state.Step, loss));
        _clock.EndEvaluation(began);
        Report(state, progress, tokensPerSecond: 0, done, loss);
    }

    private void Report(TrainingState state, IProgress<TrainingProgress>? progress, double tokensPerSecond, int? validationDone, double? validationLoss)
    {
        progress?.Report(new TrainingProgress
        {
            Stage = validationDone is null ? TrainingStage.Step : TrainingStage.Validation,
            Step = state.Step,
            Steps = _steps,
            Epoch = 1 + (Math.Max(0, state.Step - 1) / _stepsPerEpoch),
            Loss = state.Losses.LastOrDefault(),
            LearningRate = state.Step > 0 ? RateOf(state.Step - 1) : 0,
            GradientNorm = state.GradientNorms.LastOrDefault(),
            TokensPerSecond = tokensPerSecond,
            TimeLeft = _clock.Left(_steps - state.Step, EvaluationsAfter(state.Step)),
            ValidationDone = validationDone ?? 0,
            ValidationTotal = validationDone is null ? 0 : _validation.Length,
            ValidationLoss = validationLoss,
        });
    }

    private bool IsEvaluated(int step) =>
        _validation.Length > 0 && (step == 0 ? _options.EvaluateBefore : step % _options.EvaluateEvery == 0 || step == _steps);

    private int EvaluationsAfter(int step)
    {
        int every = _options.EvaluateEvery;
        return _validation.Length > 0 && step < _steps ? (_steps / every) - (step / every) + (_steps % every > 0 ? 1 : 0) : 0;
    }

    private double RateOf(int step) => LearningRate.At(_options, step, _steps);

    private TrainingSample[] BatchOf(int step)
    {
        int epoch = step / _stepsPerEpoch;
        if (_epoch.Epoch != epoch)
        {
            _epoch = (epoch, DataOrder.OfEpoch(_training.Length, _options.Seed, epoch));
        }

        return [.. _epoch.Order.Skip(step % _stepsPerEpoch * _options.BatchSize).Take(_options.BatchSize).Select(i => _training[i])];
    }

    private void SaveIfDue(TrainingState state)
    {
        bool isNew = state.Step > 0 && _saved.Step != state.Step;
        if (isNew && (state.Step % _options.CheckpointEvery == 0 || _clock.Since(_savedAt) >= _options.CheckpointInterval))
        {
            Save(state);
        }
    }

    private void Save(TrainingState state)
    {
        if (_statePath is null)
        {
            return;
        }

        TrainingStateFile.Write(_statePath, _model.Parameters, state, _settings);
        _saved = (state.Step, state.Validations.Count);
        _savedAt = _clock.Now;
    }
}
