using BenchmarkDotNet.Attributes;
using Vicuna.Managed.Kernels.Formats;
using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Kernels.Memory;

namespace Vicuna.Managed.Benchmarks.Micro;

/// <summary>
/// Many tokens times halves: both operands laid out in panels (<see cref="FloatPanel"/>), against tiles over rows as they lie
/// (<see cref="RowMajor"/>). One thread, 64 rows.
/// </summary>
/// <remarks>
/// Verdict (AMD EPYC, Zen 4; of the f32 peak on one thread): rows as they lie 0.65 to 0.7, whatever the tile: rows of 16 KB fall into the same cache
/// sets. Panels in pieces of 512 columns 0.85 to 0.91, of 1024 0.86 to 0.95, of 2048 0.91 to 0.97, and with the next piece fetched ahead 0.95 to
/// 0.98; laying W out costs 2 to 4 % at 512 tokens, the horizontal sums 2 to 3 %. Taking all rows by one tile of tokens before the next
/// (instead of all tokens by one tile of rows) lost 2 to 15 %. From 12 tokens on panels win. Kept: panels, 2048 columns, fetched ahead.
/// </remarks>
public class PanelsVersusRows
{
    private const int Width = 4096;
    private const int Rows = 64;

    private byte[] _weights = null!;
    private float[] _activations = null!;
    private float[] _packed = null!;
    private float[] _scratch = null!;
    private float[] _destination = null!;

    [Params(12, 510)]
    public int Tokens { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        IsaTiers.Require(IsaTier.Avx512);
        _weights = new byte[Rows * Width * 2];
        _weights.AsSpan().Fill(0x11);
        _activations = new float[Tokens * Width];
        _activations.AsSpan().Fill(0.5f);
        _packed = new float[FloatPanel.PackedElements(Tokens, Width)];
        _scratch = new float[FloatPanel.ScratchElements(Width)];
        _destination = new float[Tokens * Rows];
        for (int tile = 0; tile * FloatPanel.TokenTile < Tokens; tile++)
        {
            FloatPanel.PackTile<Avx512>(_activations, Tokens, Width, tile, F16Finite.ActivationScale, _packed);
        }
    }

    [Benchmark(Baseline = true)]
    public float RowsAsTheyLie()
    {
        RowMajor.Multiply<F16Finite, Avx512>(_weights, Rows, Width, _activations, Tokens, _destination, Rows, _scratch);
        return _destination[0];
    }

    [Benchmark]
    public float Panels()
    {
        FloatPanel.Multiply<F16Finite, Avx512>(_weights, Rows, Width, _packed, Tokens, _destination, Rows, _scratch);
        return _destination[0];
    }
}
