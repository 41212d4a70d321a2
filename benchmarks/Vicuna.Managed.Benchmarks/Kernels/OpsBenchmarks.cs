using BenchmarkDotNet.Attributes;
using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Kernels.Ops;

namespace Vicuna.Managed.Benchmarks.Kernels;

/// <summary>Everything of a layer that is not a matrix product, for one token of a 7B model (D 4096, F 11008, 32 heads of 128), on one thread.</summary>
[Config(typeof(Config.Plain))]
public class OpsBenchmarks
{
    private const int Hidden = 4096;
    private const int FeedForward = 11008;
    private const int Heads = 32;
    private const int HeadDim = 128;

    private readonly float[] _x = Filled(Hidden);
    private readonly float[] _y = Filled(Hidden);
    private readonly float[] _gate = Filled(FeedForward);
    private readonly float[] _up = Filled(FeedForward);
    private readonly float[] _rotated = Filled(Hidden);
    private readonly float[] _cosines = [.. Enumerable.Repeat(0.6f, HeadDim / 2)];
    private readonly float[] _sines = [.. Enumerable.Repeat(0.8f, HeadDim / 2)];
    private readonly byte[] _page = new byte[new KvShape(1, 1, HeadDim, KvType.F16).RunBytes];
    private readonly float[] _scratch = new float[AttentionRows.ScratchElements(HeadDim)];
    private readonly float[] _output = new float[Hidden];
    private Operations _operations = null!;

    public static IEnumerable<string> TierNames => IsaTiers.Supported.Select(IsaTiers.NameOf);

    [ParamsSource(nameof(TierNames))]
    public string Tier { get; set; } = "";

    [GlobalSetup]
    public void Setup() => _operations = Operations.For(IsaTiers.Supported.Single(tier => IsaTiers.NameOf(tier) == Tier));

    [Benchmark]
    public void RmsNorm() => _operations.RmsNorm(_x, _y, 1e-6f, _output);

    /// <summary>Again and again in place, which a rotation stands: lengths stay as they are.</summary>
    [Benchmark]
    public void Rotate() => _operations.Rotate(_rotated, _cosines, _sines, tokens: 1, Heads, HeadDim, RopeStyle.Halves);

    [Benchmark]
    public void SwiGlu()
    {
        // In place: without a fresh start the values would shrink to subnormal numbers, which take another time.
        _gate.AsSpan().Fill(0.5f);
        _operations.SwiGlu(_gate, _up);
    }

    [Benchmark]
    public void Add()
    {
        _y.CopyTo(_output, 0);
        _operations.Add(_output, _x);
    }

    /// <summary>One head over one page of 64 positions in half precision, from the start to the finished result.</summary>
    [Benchmark]
    public float AttendPage()
    {
        AttentionRows rows = new(_scratch, 1, HeadDim);
        rows.Set(0, KvShape.PagePositions - 1, _x.AsSpan(0, HeadDim));
        _operations.AttendPage(KvType.F16, rows, _page, _page, 0, int.MaxValue, 0.088f, mayHoldNaN: false);
        _operations.FinishAttention(rows, 0, _output.AsSpan(0, HeadDim));
        return _output[0];
    }

    private static float[] Filled(int length)
    {
        Random random = new(1);
        float[] values = new float[length];
        for (int i = 0; i < length; i++)
        {
            values[i] = random.NextSingle() - 0.5f;
        }

        return values;
    }
}
