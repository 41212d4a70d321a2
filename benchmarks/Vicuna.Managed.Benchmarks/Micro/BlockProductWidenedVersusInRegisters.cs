using System.Runtime.InteropServices;
using BenchmarkDotNet.Attributes;
using Vicuna.Managed.Kernels.Formats;
using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Kernels.Memory;

namespace Vicuna.Managed.Benchmarks.Micro;

/// <summary>
/// The product of one token with quantized blocks: eight rows widened to f32 by the scalar specification and multiplied; the same with vectors;
/// one row at a time, whose copy fits the first-level cache; and widened in registers, without a copy. One thread.
/// </summary>
/// <remarks>
/// Verdict (AMD EPYC with AVX-512, 2 processors shared with other work, so take the ratios as rough; .NET 10; 10^9 weights per second of one thread,
/// medians of nine alternating rounds in the second-level cache, or of 16384 rows from memory):
/// <list type="table">
/// <listheader><term>format</term><description>eight rows scalar, eight rows, one row, in registers</description></listheader>
/// <item><term>q4_0</term><description>1.6, 7.2, 7.0, 11.7</description></item>
/// <item><term>q5_1</term><description>1.1, 5.3, 5.1, 7.3</description></item>
/// <item><term>q4_k</term><description>1.4, 7.4, 7.2, 13.5; from memory 1.3, 5.3, 5.8, 11.8</description></item>
/// <item><term>q6_k</term><description>0.9, 6.4, 6.8, 12.3; from memory 0.8, 4.1, 4.5, 9.7</description></item>
/// </list>
/// A smaller copy gains nothing worth having; no copy is 1.4 to 2.3 times as fast, and is what one token takes. Two rows block by block, whose
/// chains of sums overlap, gained nothing in the cache with 512-bit vectors (1.0 to 1.5 times with 256-bit ones) and lost from memory (q4_k 0.7,
/// q6_k 0.5): rows are taken one by one.
/// </remarks>
[Config(typeof(Columns))]
public class BlockProductWidenedVersusInRegisters
{
    private const int Width = 4096;

    private readonly float[] _scratch = new float[RowMajor.ScratchElements(Width)];
    private AlignedBuffer _weights = null!;
    private float[] _activations = null!;
    private float[] _destination = null!;

    /// <summary>Storage format.</summary>
    [Params("q4_0", "q5_1", "q4_k", "q6_k")]
    public string Format { get; set; } = "";

    /// <summary>Rows of 4096 weights: 32 stay in the second-level cache, 32768 are 75 MB and more.</summary>
    [Params(32, 32768)]
    public int Rows { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        IsaTiers.Require(IsaTier.Avx512);
        WeightFormat format = WeightFormats.Find(Format)!;
        _weights = AlignedBuffer.Allocate((long)Rows * Width / format.BlockElements * format.BlockBytes);
        // As halves these bytes are ordinary scales.
        _weights.Writable(0, (int)_weights.Length).Fill(0x21);
        _activations = new float[Width];
        _activations.AsSpan().Fill(0.5f);
        _destination = new float[Rows];
    }

    [GlobalCleanup]
    public void Cleanup() => _weights.Dispose();

    [Benchmark(Baseline = true)]
    public float EightRowsScalar() => Run(Way.EightRowsScalar);

    [Benchmark]
    public float EightRows() => Run(Way.EightRows);

    [Benchmark]
    public float OneRow() => Run(Way.OneRow);

    [Benchmark]
    public float InRegisters() => Run(Way.InRegisters);

    private float Run(Way way)
    {
        switch (Format)
        {
            case "q4_0":
                Run<Q4_0>(way);
                break;
            case "q5_1":
                Run<Q5_1>(way);
                break;
            case "q4_k":
                Run<Q4_K>(way);
                break;
            default:
                Run<Q6_K>(way);
                break;
        }

        return _destination[0];
    }

    private void Run<TFormat>(Way way)
        where TFormat : struct, IWeightFormat<TFormat>
    {
        ReadOnlySpan<byte> rows = _weights.Region.Bytes(0, (int)_weights.Length);
        if (way == Way.InRegisters)
        {
            TFormat.Multiply<Avx512>(rows, Rows, Width, _activations, 1, _destination, Rows, _scratch);
            return;
        }

        int group = way == Way.OneRow ? 1 : RowMajor.RowGroup;
        int groupBytes = group * Width / TFormat.BlockElements * TFormat.BlockBytes;
        Span<float> widened = _scratch.AsSpan(0, group * Width);
        for (int row = 0; row < Rows; row += group)
        {
            ReadOnlySpan<byte> stored = rows.Slice(row / group * groupBytes, groupBytes);
            if (way == Way.EightRowsScalar)
            {
                TFormat.Dequantize(stored, widened);
            }
            else
            {
                TFormat.DequantizeVector<Avx512>(stored, widened);
            }

            RowMajor.Multiply<F32, Avx512>(MemoryMarshal.AsBytes(widened), group, Width, _activations, 1, _destination.AsSpan(row), Rows, []);
        }
    }

    private enum Way
    {
        EightRowsScalar,
        EightRows,
        OneRow,
        InRegisters,
    }

    private sealed class Columns() : Config(
        new RateColumn("GW/s", "Weights per second, in 10^9", static benchmark => (int)benchmark.Parameters[nameof(Rows)] * (double)Width / 1e9));
}
