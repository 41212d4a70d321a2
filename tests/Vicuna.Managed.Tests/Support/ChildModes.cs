using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Vicuna.Managed.Kernels.Formats;
using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Kernels.Matmul;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Kernels.Ops;
using Vicuna.Managed.Kernels.Threading;
using Vicuna.Managed.Tests.Kernels;

namespace Vicuna.Managed.Tests.Support;

/// <summary>
/// What the test executable does instead of testing when <see cref="ChildProcess"/> starts it. No mode may run code of this assembly on a
/// second thread: that thread would wait for this initializer.
/// </summary>
internal static class ChildModes
{
    public const string Tiers = "tiers";
    public const string IdlePool = "idle-pool";
    public const string ReadAfter = "read-after";
    public const string ReadBefore = "read-before";
    public const string WriteAfter = "write-after";
    public const string WriteBefore = "write-before";

    [ModuleInitializer]
    internal static void RunIfChild()
    {
        string? mode = Environment.GetEnvironmentVariable(ChildProcess.ModeVariable);
        if (string.IsNullOrEmpty(mode))
        {
            return;
        }

        switch (mode)
        {
            case Tiers:
                PrintTiers();
                break;
            case IdlePool:
                PrintIdleTime();
                break;
            default:
                TouchGuard(mode);
                break;
        }

        Environment.Exit(0);
    }

    /// <summary>One line for each supported tier: its name and a hash of what its kernels compute.</summary>
    public static IEnumerable<string> TierLines() => IsaTiers.Supported.Select(tier => $"{IsaTiers.NameOf(tier)} {HashOf(tier):x16}");

    private static void PrintTiers()
    {
        foreach (string line in TierLines())
        {
            Console.WriteLine(line);
        }
    }

    private static ulong HashOf(IsaTier tier)
    {
        const int rows = 9, columns = 75, tokens = 5;
        Random random = new(3);
        float[] x = [.. Enumerable.Range(0, tokens * columns).Select(_ => (float)((random.NextDouble() - 0.5) * 40))];
        float[] y = new float[tokens * rows];
        float[] scratch = new float[MatmulJob.ScratchElements(columns)];
        HashCode64 hash = new();
        foreach (WeightFormat format in WeightFormats.All.Where(format => format.BlockElements == 1))
        {
            byte[] bytes = new byte[rows * columns * format.BlockBytes];
            for (int i = 0; i < bytes.Length; i += format.BlockBytes)
            {
                bytes[i] = (byte)random.Next();
                bytes[i + format.BlockBytes - 1] = (byte)(0x3c + (random.Next(2) * 0x80));
            }

            using AlignedBuffer stored = Regions.Copy(bytes);
            format.Open(stored.Region, rows, columns, tier).MultiplyRows(0, rows, x, tokens, y, scratch);
            hash.Add(y);
        }

        Operations operations = Operations.For(tier);
        float[] gate = [.. x];
        operations.SwiGlu(gate, x);
        hash.Add(gate);
        operations.RmsNorm(x, x.AsSpan(0, columns), 1e-5f, gate);
        hash.Add(gate);
        operations.Rotate(gate.AsSpan(0, 374), x.AsSpan(0, 187), x.AsSpan(188, 187), 1, 1, 374, RopeStyle.Halves);
        hash.Add(gate);
        float[] output = new float[25];
        foreach (KvType type in Enum.GetValues<KvType>())
        {
            byte[] keys = new byte[new KvShape(1, 1, 25, type).RunBytes];
            byte[] values = new byte[keys.Length];
            for (int slot = 0; slot < 5; slot++)
            {
                operations.Store(type, x.AsSpan(50 + (25 * slot), 25), keys, slot, transposed: true);
                operations.Store(type, x.AsSpan(100 + (25 * slot), 25), values, slot, transposed: false);
            }

            AttentionRows heads = new(new float[AttentionRows.ScratchElements(25)], 5, 25);
            for (int row = 0; row < heads.Count; row++)
            {
                heads.Set(row, 4, x.AsSpan(25 * row, 25));
            }

            operations.AttendPage(type, heads, keys, values, 0, int.MaxValue, 0.01f, mayHoldNaN: false);
            operations.FinishAttention(heads, 4, output);
            hash.Add(output);
        }

        return hash.Value;
    }

    private static void PrintIdleTime()
    {
        const int rows = 256, columns = 512;
        using WorkerPool pool = new(16, MatmulJob.ScratchElements(columns));
        using AlignedBuffer weights = AlignedBuffer.AllocateFloats(rows * columns);
        using AlignedBuffer x = AlignedBuffer.AllocateFloats(columns);
        using AlignedBuffer y = AlignedBuffer.AllocateFloats(rows);
        WeightMatrix matrix = WeightFormats.All[0].Open(weights.Region, rows, columns, IsaTiers.Best);
        for (int i = 0; i < 100; i++)
        {
            matrix.Multiply(IsaTiers.Best, pool, x, 1, y);
        }

        Thread.Sleep(500); // the runtime's own threads compile what has just become hot
        TimeSpan before = Process.GetCurrentProcess().TotalProcessorTime;
        Thread.Sleep(1000);
        TimeSpan used = Process.GetCurrentProcess().TotalProcessorTime - before;
        Console.WriteLine(used.TotalSeconds.ToString(CultureInfo.InvariantCulture));
    }

    private static void TouchGuard(string mode)
    {
        const int length = 100;
        using GuardedBuffer buffer = GuardedBuffer.Allocate(length);
        bool after = mode is ReadAfter or WriteAfter;
        Span<byte> slice = buffer.Slice<byte>(length, atEnd: after);
        slice[0] = 1;
        slice[^1] = 2;
        Console.WriteLine($"inside {slice[0] + slice[^1]}");
        ref byte outside = ref Unsafe.Add(ref MemoryMarshal.GetReference(slice), after ? length : -1);
        if (mode is ReadAfter or ReadBefore)
        {
            Console.WriteLine($"read {outside}");
        }
        else
        {
            outside = 3;
            Console.WriteLine("written");
        }
    }

    // FNV-1a over the bits: HashCode is seeded anew in every process.
    private sealed class HashCode64
    {
        public ulong Value { get; private set; } = 0xcbf29ce484222325;

        public void Add(ReadOnlySpan<float> values)
        {
            foreach (byte part in MemoryMarshal.AsBytes(values))
            {
                Value = (Value ^ part) * 0x100000001b3;
            }
        }
    }
}
