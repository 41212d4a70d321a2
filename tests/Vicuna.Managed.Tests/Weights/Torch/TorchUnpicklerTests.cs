using System.Diagnostics;
using Vicuna.Managed.Weights.Torch;

namespace Vicuna.Managed.Tests.Weights.Torch;

/// <summary>The pickle's cases P1 to P17 of the design's refusal corpus.</summary>
public sealed class TorchUnpicklerTests
{
    private const string NotNamed = "which a state dict has no use for";
    private const string NotCalled = "arguments of unexpected number or kind";
    private const string NotOnStack = "not on the stack";

    private static readonly Dictionary<string, (Func<byte[]> Pickle, string Expected)> Cases = new()
    {
        ["P1 os.system"] = (() => New().Global("os", "system").Text("id").Raw(0x85).Ops("R.").ToArray(), "'os system', " + NotNamed),
        ["P1 posix.system as a prefix match"] = (() => New().Global("torch._utils", "_rebuild_tensor_v2.x").Ops(".").ToArray(), NotNamed),
        ["P1 name of another module"] = (() => New().Global("collections", "HalfStorage").Ops(".").ToArray(), NotNamed),
        ["P1 other case"] = (() => New().Global("torch", "halfstorage").Ops(".").ToArray(), NotNamed),
        ["P1 trailing carriage return"] = (() => New().Global("torch", "HalfStorage\r").Ops(".").ToArray(), "HalfStorage?', " + NotNamed),
        ["P2 Python 2's builtins"] = (() => New().Global("__builtin__", "eval").Ops(".").ToArray(), "'__builtin__ eval', " + NotNamed),
        ["P2 without protocol"] = (() => "c__builtin__\neval\n."u8.ToArray(), "expected a pickle of protocol 2 (80 02), found 63 5F"),
        ["P3 protocol 4"] = (() => [0x80, 4, 0x8C, 5, .. "posix"u8, 0x8C, 6, .. "system"u8, 0x93, .. "."u8], "found 80 04"),
        ["P3 STACK_GLOBAL"] = (() => New().Text("posix").Text("system").Raw(0x93).Ops(".").ToArray(), "instruction 93"),
        ["P3 SHORT_BINUNICODE"] = (() => New().Raw(0x8C, 1, 65).Ops(".").ToArray(), "instruction 8C"),
        ["P4 INST"] = (() => New().Ops("(S'id'\nios\nsystem\n.").ToArray(), "instruction 53"),
        ["P4 INST without STRING"] = (() => New().Ops("(ios\nsystem\n.").ToArray(), "instruction 69"),
        ["P4 OBJ"] = (() => New().Ops("(o.").ToArray(), "instruction 6F"),
        ["P4 EXT1"] = (() => New().Raw(0x82, 1).Ops(".").ToArray(), "instruction 82"),
        ["P5 OrderedDict with an argument"] = (() => New().Global("collections", "OrderedDict").Ops("]").Raw(0x85).Ops("R.").ToArray(), NotCalled),
        ["P5 tensor without arguments"] = (() => New().Global("torch._utils", "_rebuild_tensor_v2").Ops(")R.").ToArray(), NotCalled),
        ["P5 tensor of a text"] = (() => Rebuild(writer => writer.Text("0")), NotCalled),
        ["P5 tensor of a storage type"] = (() => Rebuild(writer => writer.Global("torch", "HalfStorage")), NotCalled),
        ["P5 tensor with hooks"] = (() => Rebuild(hooks: writer => writer.Ops("}").Text("a").Ops("Ns")), NotCalled),
        ["P5 tensor with metadata"] = (() => Rebuild(hooks: writer => writer.Ops("}}").Text("conj").Raw(0x88).Ops("s")), NotCalled),
        ["P5 tensor whose size is a list"] = (() => Rebuild(size: writer => writer.Ops("]")), "size or stride: expected a value of kind Tuple, found List"),
        ["P5 tensor whose size is a float"] = (() => Rebuild(size: writer => writer.Ops("G").Raw(new byte[8]).Raw(0x85)), "of kind Integer, found Float"),
        ["P5 tensor whose size is a truth value"] = (() => Rebuild(size: writer => writer.Raw(0x88, 0x85)), "of kind Integer, found Bool"),
        ["P5 parameter of a storage"] = (() => New().Global("torch._utils", "_rebuild_parameter").Storage("HalfStorage", "0", 4).Raw(0x88).Ops("}")
            .Raw(0x87).Ops("R.").ToArray(), NotCalled),
        ["P6 call of a tuple"] = (() => New().Ops("))R.").ToArray(), "a call of expected a value of kind Global, found Tuple"),
        ["P6 call of a text"] = (() => New().Text("eval").Ops(")R.").ToArray(), "a call of expected a value of kind Global, found Text"),
        ["P6 call of a storage type"] = (() => New().Global("torch", "HalfStorage").Ops(")R.").ToArray(), "found StorageType"),
        ["P6 call with a list"] = (() => New().Global("collections", "OrderedDict").Ops("]R.").ToArray(), "expected a value of kind Tuple, found List"),
        ["P7 SETITEM on a list"] = (() => New().Ops("]").Text("a").Ops("Ns.").ToArray(), "expected a value of kind Dict, found List"),
        ["P7 SETITEM on a tensor"] = (() => New().Tensor(new TensorSpec("t", [4])).Text("a").Ops("Ns.").ToArray(), "of kind Dict, found Tensor"),
        ["P7 SETITEMS on a text"] = (() => New().Text("a").Ops("(").Text("a").Ops("Nu.").ToArray(), "of kind Dict, found Text"),
        ["P7 SETITEMS on a storage"] = (() => New().Storage("HalfStorage", "0", 4).Ops("(").Text("a").Ops("Nu.").ToArray(), "of kind Dict, found Storage"),
        ["P7 SETITEMS on a mark"] = (() => New().Ops("((").Text("a").Ops("Nu.").ToArray(), "of kind Dict, found Mark"),
        ["P7 APPEND to a dict"] = (() => New().Ops("}Na.").ToArray(), "of kind List, found Dict"),
        ["P7 APPENDS to a tuple"] = (() => New().Ops(")(NNe.").ToArray(), "of kind List, found Tuple"),
        ["P7 BUILD of a list"] = (() => New().Ops("]}b.").ToArray(), "of kind Dict, found List"),
        ["P7 BUILD of a tensor"] = (() => New().Tensor(new TensorSpec("t", [4])).Ops("}b.").ToArray(), "of kind Dict, found Tensor"),
        ["P7 BUILD with a tuple"] = (() => New().Ops("})b.").ToArray(), "of kind Dict, found Tuple"),
        ["P8 persistent id of a text"] = (() => New().Text("0").Ops("Q.").ToArray(), "expected a value of kind Tuple, found Text"),
        ["P8 four items"] = (() => PersistentId(writer => writer.Text("storage").Global("torch", "HalfStorage").Text("0").Text("cpu")),
            "persistent id ('storage'"),
        ["P8 six items"] = (() => PersistentId(writer => Id(writer, "0").Integer(4).Ops("N")), "persistent id ('storage'"),
        ["P8 other first item"] = (() => PersistentId(writer => writer.Text("module").Global("torch", "HalfStorage").Text("0").Text("cpu").Integer(4)),
            "('storage'"),
        ["P8 type that is not one"] = (() => PersistentId(writer => writer.Text("storage").EmptyOrderedDict().Text("0").Text("cpu").Integer(4)), "('storage'"),
        ["P8 key that is a number"] = (() => PersistentId(writer => writer.Text("storage").Global("torch", "HalfStorage").Integer(0).Text("cpu").Integer(4)),
            "('storage'"),
        ["P8 count of -1"] = (() => PersistentId(writer => Id(writer, "0").Integer(-1)), "persistent id ('storage'"),
        ["P8 count of 2^63"] = (() => PersistentId(writer => Id(writer, "0").Raw(0x8A, 9, 0, 0, 0, 0, 0, 0, 0, 0x80, 0)), "an integer of 9 bytes"),
        ["P8 count of -2^63"] = (() => PersistentId(writer => Id(writer, "0").Integer(long.MinValue)), "persistent id ('storage'"),
        ["P8 key that climbs"] = (() => PersistentId(writer => Id(writer, "../x").Integer(4)), "found '../x'"),
        ["P8 empty key"] = (() => PersistentId(writer => Id(writer, string.Empty).Integer(4)), "found ''"),
        ["P8 key of 21 digits"] = (() => PersistentId(writer => Id(writer, new string('1', 21)).Integer(4)), "expected a storage key of decimal digits"),
        ["P8 key of other digits"] = (() => PersistentId(writer => Id(writer, "\u0661").Integer(4)), "expected a storage key of decimal digits"),
        ["P9 one key of two types"] = (() => PickleWriter.StateDict(new TensorSpec("a", [4]), new TensorSpec("b", [4]) { StorageType = "FloatStorage" }),
            "storage 0 is 4 x F16 and also 4 x F32"),
        ["P9 one key of two sizes"] = (() => PickleWriter.StateDict(new TensorSpec("a", [4]), new TensorSpec("b", [4]) { Count = 5 }),
            "storage 0 is 4 x F16 and also 5 x F16"),
        ["P10 rank 65"] = (() => PickleWriter.StateDict(new TensorSpec("t", [.. Enumerable.Repeat(1L, 65)])), "a tensor of 65 dimensions"),
        ["P11 memo number 2^32 - 1"] = (() => New().Ops("}r").Raw(255, 255, 255, 255).Ops(".").ToArray(), "memo number 4294967295"),
        ["P11 put of nothing"] = (() => New().Ops("q").Raw(0).Ops(".").ToArray(), NotOnStack),
        ["P11 put of a mark"] = (() => New().Ops("(q").Raw(0).Ops(".").ToArray(), NotOnStack),
        ["P12 text of 2^32 - 1 bytes"] = (() => New().Ops("X").Raw(255, 255, 255, 255, 65).ToArray(), "a text of 4294967295 bytes"),
        ["P12 text cut short"] = (() => New().Ops("X").Raw(4, 0, 0, 0, 65).ToArray(), "expected 4 more bytes, found 1"),
        ["P12 text that is not UTF-8"] = (() => New().Ops("X").Raw(2, 0, 0, 0, 0xC0, 0xAF).Ops(".").ToArray(), "not UTF-8"),
        ["P12 text with a surrogate"] = (() => New().Ops("X").Raw(3, 0, 0, 0, 0xED, 0xA0, 0x80).Ops(".").ToArray(), "not UTF-8"),
        ["P13 tuple of nothing"] = (() => New().Raw(0x85).Ops(".").ToArray(), NotOnStack),
        ["P13 tuple across a mark"] = (() => New().Ops("N(N").Raw(0x86).Ops(".").ToArray(), NotOnStack),
        ["P13 tuple without mark"] = (() => New().Ops("NNt.").ToArray(), "a mark that is not on the stack"),
        ["P13 APPEND without list"] = (() => New().Ops("Na.").ToArray(), NotOnStack),
        ["P13 SETITEM without dict"] = (() => New().Ops("NNs.").ToArray(), "a dict that is not on the stack"),
        ["P13 SETITEMS without dict"] = (() => New().Ops("(NNu.").ToArray(), "a dict that is not on the stack"),
        ["P13 call of nothing"] = (() => New().Ops(")R.").ToArray(), NotOnStack),
        ["P13 memo number never set"] = (() => New().Ops("h").Raw(7).Ops(".").ToArray(), "memo number 7 was never set"),
        ["P13 long memo number never set"] = (() => New().Ops("j").Raw(0, 0, 0, 1).Ops(".").ToArray(), "memo number 16777216 was never set"),
        ["P13 SETITEMS of three"] = (() => New().Ops("}(").Text("a").Ops("N").Text("b").Ops("u.").ToArray(), "SETITEMS with 3 values"),
        ["P13 STOP on an empty stack"] = (() => New().Ops(".").ToArray(), NotOnStack),
        ["P13 STOP on a mark"] = (() => New().Ops("(.").ToArray(), NotOnStack),
        ["P13 STOP with values left"] = (() => New().Ops("N}.").ToArray(), "found 1 values left on the stack"),
        ["P13 no STOP"] = (() => New().Ops("}").ToArray(), "expected 1 more bytes, found 0"),
        ["P13 empty"] = (() => [], "expected 1 more bytes, found 0"),
        ["P13 second PROTO"] = (() => New().Raw(0x80, 2).Ops("}.").ToArray(), "instruction 80"),
        ["P14 10^7 marks"] = (() => Repeat("("), "more than"),
        ["P14 10^7 nested tuples"] = (() => [.. New().Ops(")").ToArray(), .. Enumerable.Repeat((byte)0x85, 10_000_000)], "more than"),
        ["P14 10^7 lists"] = (() => Repeat("]"), "more than"),
        ["P14 10^7 dicts"] = (() => Repeat("}"), "more than"),
        ["P14 10^7 calls"] = (() => Repeat("ccollections\nOrderedDict\n)R", 400_000), "more than"),
        ["P14 self-containing list"] = (() => Convert.FromHexString("80025D71006800612E"), "expected a value of kind Dict, found List"),
        ["P14 self-containing dict"] = (() => New().Ops("}q").Raw(0).Text("a").Ops("h").Raw(0).Ops("s.").ToArray(),
            "'a': expected a tensor, found a value of kind Dict"),
        ["P15 name without line end"] = (() => New().Ops("ctorch").ToArray(), "a name without a line end"),
        ["P15 second line missing"] = (() => New().Ops("ctorch\nHalfStorage").ToArray(), "a name without a line end"),
        ["P15 long name"] = (() => New().Ops("c" + new string('x', 10_000_000) + "\nx\n.").ToArray(), "a name without a line end in 128 bytes"),
        ["P15 name that is not UTF-8"] = (() => New().Ops("c").Raw(0xFF).Ops("\nx\n.").ToArray(), NotNamed),
        ["P16 NEWOBJ"] = (() => New().Global("collections", "OrderedDict").Ops(")").Raw(0x81).Ops(".").ToArray(), "instruction 81"),
        ["P17 bytes after STOP"] = (() => [.. PickleWriter.Reference, 0x2E], "1 bytes after STOP"),
        ["content is a tensor"] = (() => New().Tensor(new TensorSpec("t", [4])).Ops(".").ToArray(), "expected a value of kind Dict, found Tensor"),
        ["value is a number"] = (() => New().Ops("}").Text("epoch").Integer(3).Ops("s.").ToArray(),
            "'epoch': expected a tensor, found a value of kind Integer"),
        ["value is a state dict"] = (() => New().Ops("}").Text("model").Ops("}s.").ToArray(), "not a training checkpoint"),
        ["key is a number"] = (() => New().Ops("}").Integer(1).Ops("Ns.").ToArray(), "a dict's key: expected a value of kind Text, found Integer"),
        ["name twice"] = (() => PickleWriter.StateDict(new TensorSpec("w", [4]), new TensorSpec("w", [2])), "'w': the state dict holds this name twice"),
    };

    public static TheoryData<string> CaseNames() => [.. Cases.Keys];

    [Theory]
    [MemberData(nameof(CaseNames))]
    public void Read_DefectivePickle_IsRefused(string name)
    {
        byte[] pickle = Cases[name].Pickle();
        Stopwatch clock = Stopwatch.StartNew();
        long before = GC.GetAllocatedBytesForCurrentThread();

        string message = TorchReading.PickleRefusal(pickle);

        Assert.Contains(Cases[name].Expected, message, StringComparison.Ordinal);
        Assert.InRange(message.Length, 1, 600);
        Assert.True(clock.Elapsed < TimeSpan.FromSeconds(5), $"Took {clock.Elapsed}.");
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 128 << 20);
    }

    [Fact]
    public void Read_MaximalValues_StaysWithinItsMemory()
    {
        // The dearest use of the allowed number of values: tensors of 64 dimensions that each copy the same two tuples.
        PickleWriter writer = New().Ops("]").Storage("HalfStorage", "0", 4).Ops("q").Raw(0).Integers(new long[64]).Ops("q").Raw(1)
            .Global("torch._utils", "_rebuild_tensor_v2").Ops("q").Raw(2).Ops("}q").Raw(3).Raw(0x87).Raw(0x86).Ops("a");
        byte[] once = [.. "h\x02(h\0K\0h\x01h\x01"u8, 0x89, .. "h\x03tRa"u8];
        for (int i = 0; i < 100_000; i++)
        {
            writer.Raw(once);
        }

        byte[] pickle = writer.Ops(".").ToArray();
        long before = GC.GetAllocatedBytesForCurrentThread();

        string message = TorchReading.PickleRefusal(pickle);

        Assert.Contains("found List", message, StringComparison.Ordinal);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 256 << 20);
    }

    [Fact]
    public void Read_UnusualButSoundPickle_IsAccepted()
    {
        // A value of every kind in the state that BUILD drops, APPEND and APPENDS, long memo numbers, no location.
        byte[] pickle = New().EmptyOrderedDict().Ops("r").Raw(0, 1, 0, 0).Text("w").Global("torch._utils", "_rebuild_tensor_v2")
            .Ops("((").Text("storage").Global("torch", "HalfStorage").Text("0").Ops("N").Raw(0x8A, 1, 4).Ops("tQ")
            .Raw(0x8A, 0).Integer(4).Raw(0x85).Integer(1).Raw(0x85)
            .Raw(0x88).Ops("NNtRs")
            .Ops("}").Text("x").Ops("](NG").Raw(new byte[8]).Raw(0x88).Integer(-5).Ops("e)as").Text("self").Ops("j").Raw(0, 1, 0, 0).Ops("sb.").ToArray();

        TorchPickle read = TorchUnpickler.Read(pickle, "f");

        (string name, TorchTensor tensor) = Assert.Single(read.Tensors);
        Assert.Equal("w", name);
        Assert.Equal(0, tensor.Offset);
        Assert.Equal([4L], tensor.Shape);
        Assert.Equal(4, read.Storages["0"].Count);
    }

    [Fact]
    public void Read_10000TensorsInOneBatch_AreAccepted()
    {
        byte[] pickle = PickleWriter.StateDict([.. Enumerable.Range(0, 10_000).Select(i => new TensorSpec($"layer.{i}.weight", [2, 2]) { Key = $"{i}" })]);

        Assert.Equal(10_000, TorchUnpickler.Read(pickle, "f").Tensors.Count);
    }

    private static PickleWriter New() => new();

    private static byte[] Repeat(string ops, int times = 10_000_000) =>
        [0x80, 2, .. Enumerable.Repeat(System.Text.Encoding.ASCII.GetBytes(ops), times).SelectMany(bytes => bytes)];

    private static PickleWriter Id(PickleWriter writer, string key) => writer.Text("storage").Global("torch", "HalfStorage").Text(key).Text("cpu");

    private static byte[] PersistentId(Func<PickleWriter, PickleWriter> items) => items(New().Ops("(")).Ops("tQ.").ToArray();

    private static byte[] Rebuild(
        Func<PickleWriter, PickleWriter>? storage = null, Func<PickleWriter, PickleWriter>? size = null, Func<PickleWriter, PickleWriter>? hooks = null)
    {
        PickleWriter writer = New().Global("torch._utils", "_rebuild_tensor_v2").Ops("(");
        writer = (storage ?? (w => w.Storage("HalfStorage", "0", 4)))(writer).Integer(0);
        writer = (size ?? (w => w.Integers([4])))(writer).Integers([1]).Raw(0x89);
        return (hooks ?? (w => w.Ops("}")))(writer).Ops("tR.").ToArray();
    }
}
