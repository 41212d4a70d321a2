using System.Text;
using Vicuna.Managed.Tests.Support;
using Vicuna.Managed.Weights;

namespace Vicuna.Managed.Tests.Weights;

public sealed class SafetensorsWriterTests
{
    private static readonly byte[] ZeroToFive = [.. Enumerable.Range(0, 6).SelectMany(i => BitConverter.GetBytes((float)i))];

    [Fact]
    public void Commit_A16_GivesTheBytesOfTheRustWriter()
    {
        // The expected files of its tests: test_serialization, test_serialization_forced_alignement, test_empty, and of the Python
        // binding's test_serialization_forces_alignment and test_serialization_order_invariant.
        Assert.Equal(
            [.. SafetensorsBytes.File("{\"attn.0\":{\"dtype\":\"F32\",\"shape\":[1,2,3],\"data_offsets\":[0,24]}}"), .. ZeroToFive],
            Written([("attn.0", TensorType.F32, [1, 2, 3])], null, ZeroToFive));
        Assert.Equal(
            [.. SafetensorsBytes.File("{\"attn0\":{\"dtype\":\"F32\",\"shape\":[1,1,2,3],\"data_offsets\":[0,24]}}       "), .. ZeroToFive],
            Written([("attn0", TensorType.F32, [1, 1, 2, 3])], null, ZeroToFive));
        Assert.Equal("08000000000000007B7D202020202020", Convert.ToHexString(Written([], null)));
        Assert.Equal(
            [0x28, 0, 0, 0, 0, 0, 0, 0, .. "{\"__metadata__\":{\"framework\":\"pt\"}}     "u8],
            Written([], new Dictionary<string, string> { ["framework"] = "pt" }));
        byte[] mixed =
        [
            0x80, 0, 0, 0, 0, 0, 0, 0,
            .. "{\"test1\":{\"dtype\":\"I32\",\"shape\":[2,2],\"data_offsets\":[0,16]},"u8,
            .. "\"test2\":{\"dtype\":\"F16\",\"shape\":[2,2],\"data_offsets\":[16,24]}}      "u8,
            .. new byte[24],
        ];
        Assert.Equal(mixed, Written([("test1", TensorType.I32, [2, 2]), ("test2", TensorType.F16, [2, 2])], null, new byte[16], new byte[8]));
        Assert.Equal(mixed, Written([("test2", TensorType.F16, [2, 2]), ("test1", TensorType.I32, [2, 2])], null, new byte[16], new byte[8]));
    }

    [Fact]
    public void Create_Order_IsByTypeThenByNameAsUtf8()
    {
        using TempFolder folder = new();
        // As UTF-16, the llama (a surrogate pair) would come before U+FFFD.
        (string, TensorType, long[])[] tensors =
        [
            ("\U0001f999", TensorType.U8, [1]), ("\ufffd", TensorType.U8, [1]), ("b", TensorType.BF16, [1]),
            ("a", TensorType.F16, [1]), ("z", TensorType.U64, [1]), ("A", TensorType.U8, [1]),
        ];
        using SafetensorsWriter writer = SafetensorsWriter.Create(folder.File("a"), tensors);
        Assert.Equal(["z", "b", "a", "A", "\ufffd", "\U0001f999"], writer.Order.Select(t => t.Name));
        Assert.Equal("z", writer.Current!.Name);
    }

    [Fact]
    public void Commit_NamesThatNeedEscapes_ReadBack()
    {
        string name = string.Concat(Enumerable.Range(0, 0x21).Select(i => (char)i)) + "\"\\/\u007f\u2028\u00e9\U0001f999'<>&";
        byte[] file = Written([(name, TensorType.U8, [1])], new Dictionary<string, string> { ["b\n"] = name, ["a"] = "" }, [7]);
        Assert.Equal([7], SafetensorsBytes.Read(file)[name].Bytes);
        string header = Encoding.UTF8.GetString(file);
        Assert.Contains("{\"__metadata__\":{\"a\":\"\",\"b\\n\":\"\\u0000\\u0001", header);
        Assert.Contains("\\u0007\\b\\t\\n\\u000b\\f\\r\\u000e", header);
        Assert.Contains("\\u001f \\\"\\\\/\u007f\u2028\u00e9\U0001f999'<>&\"", header);
    }

    [Fact]
    public void RoundTrip_AnyTensors_ReadBackAlignedAndEqual()
    {
        TensorType[] types = [.. Enum.GetValues<TensorType>().Where(t => t < TensorType.Q4_0)];
        Random random = new(20240601);
        int tried = 0;
        while (tried < 150)
        {
            List<(string Name, TensorType Type, long[] Shape)> tensors = [];
            for (int i = random.Next(1, 8); i > 0; i--)
            {
                long[] shape = [.. Enumerable.Range(0, random.Next(1, 8)).Select(_ => (long)random.Next(1, tensors.Count > 3 ? 3 : 8))];
                TensorType type = types[random.Next(types.Length)];
                if (TensorTypes.ElementCount(shape) % type.BlockElements() == 0 && TensorTypes.ElementCount(shape) < 100_000)
                {
                    tensors.Add(($"t.{i}", type, shape));
                }
            }

            if (tensors.Count == 0)
            {
                continue;
            }

            tried++;
            byte[][] data = [.. Sizes(tensors).Select(size => new byte[size])];
            Array.ForEach(data, random.NextBytes);
            byte[] file = Written(tensors, random.Next(2) == 0 ? null : new Dictionary<string, string> { ["seed"] = $"{tried}" }, data);
            Dictionary<string, (TensorInfo Info, byte[] Bytes)> read = SafetensorsBytes.Read(file);
            Assert.Equal(tensors.Count, read.Count);
            long offset = file.Length - data.Sum(bytes => bytes.Length);
            Assert.Equal(0, offset % 8);
            foreach (((TensorInfo info, byte[] bytes), byte[] expected) in read.Values.Zip(data))
            {
                (string _, TensorType type, long[] shape) = tensors.Single(t => t.Name == info.Name);
                Assert.Equal((type, info.ByteLength), (info.Type, bytes.LongLength));
                Assert.Equal(shape, info.Shape);
                Assert.Equal(expected, bytes);
                Assert.True(type.BlockElements() > 1 || offset % type.BlockBytes() == 0, $"{info.Name} of {type} begins at {offset}");
                offset += bytes.Length;
            }
        }
    }

    [Fact]
    public void Write_InPieces_IsTheSameFile_AndNothingIsThereBeforeCommit()
    {
        using TempFolder folder = new();
        string path = folder.File("model.safetensors");
        (string, TensorType, long[])[] tensors = [("a", TensorType.F32, [2, 3]), ("b", TensorType.F32, [0]), ("c", TensorType.U8, [1])];
        using (SafetensorsWriter writer = SafetensorsWriter.Create(path, tensors))
        {
            writer.Write(ZeroToFive.AsSpan(0, 5));
            Assert.Equal("a", writer.Current!.Name);
            Assert.Throws<ArgumentException>(() => writer.Write(new byte[20]));
            writer.Write(ZeroToFive.AsSpan(5));
            Assert.Equal("c", writer.Current!.Name);
            Assert.Throws<InvalidOperationException>(writer.Commit);
            Assert.False(File.Exists(path));
            writer.Write([9]);
            Assert.Null(writer.Current);
            Assert.Throws<ArgumentException>(() => writer.Write([1]));
            writer.Commit();
            Assert.Throws<ObjectDisposedException>(writer.Commit);
            Assert.Throws<ObjectDisposedException>(() => writer.Write([1]));
        }

        Assert.Equal([path], Directory.GetFileSystemEntries(folder.Path));
        Dictionary<string, (TensorInfo Info, byte[] Bytes)> read = SafetensorsBytes.Read(File.ReadAllBytes(path));
        Assert.Equal(ZeroToFive, read["a"].Bytes);
        Assert.Equal([9], read["c"].Bytes);
    }

    [Fact]
    public void Dispose_WithoutCommit_LeavesNothing()
    {
        using TempFolder folder = new();
        SafetensorsWriter writer = SafetensorsWriter.Create(folder.File("model.safetensors"), [("a", TensorType.U8, [1])]);
        writer.Write([1]);
        writer.Dispose();
        writer.Dispose();
        Assert.Empty(Directory.GetFileSystemEntries(folder.Path));
        Assert.Throws<ObjectDisposedException>(writer.Commit);
    }

    [Fact]
    public void Create_WhereAFileIs_NeedsOverwrite()
    {
        using TempFolder folder = new();
        string path = folder.Write("model.safetensors", "old");
        Assert.Throws<IOException>(() => SafetensorsWriter.Create(path, []));
        using (SafetensorsWriter.Create(path, [("a", TensorType.U8, [1])], overwrite: true))
        {
        }

        Assert.Equal("old", File.ReadAllText(path));
        using (SafetensorsWriter writer = SafetensorsWriter.Create(path, [], overwrite: true))
        {
            writer.Commit();
        }

        Assert.Empty(SafetensorsBytes.Read(File.ReadAllBytes(path)));
        Assert.Single(Directory.GetFileSystemEntries(folder.Path));
    }

    [Fact]
    public void Commit_WhereAFileHasAppeared_LeavesItAlone()
    {
        using TempFolder folder = new();
        using (SafetensorsWriter writer = SafetensorsWriter.Create(folder.File("model.safetensors"), []))
        {
            string path = folder.Write("model.safetensors", "other");
            Assert.ThrowsAny<IOException>(writer.Commit);
            Assert.Equal("other", File.ReadAllText(path));
        }

        Assert.Single(Directory.GetFileSystemEntries(folder.Path));
    }

    [Fact]
    public void Commit_OverAFileThatIsMapped_KeepsTheMappingIntact()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows refuses to replace a mapped file.");
        using TempFolder folder = new();
        string path = folder.Write("model.safetensors", Written([("a", TensorType.U8, [3])], null, [1, 2, 3]));
        using TensorSet set = TensorSet.OpenSafetensors(folder.Path, null, TestContext.Current.CancellationToken);
        using (SafetensorsWriter writer = SafetensorsWriter.Create(path, [("a", TensorType.U8, [3])], overwrite: true))
        {
            // From its own mapping: what zeroed pages when the writer truncated the target.
            writer.Write(set.Tensors["a"].Region.Bytes(0, 3));
            writer.Commit();
        }

        Assert.Equal([1, 2, 3], set.Tensors["a"].Region.Bytes(0, 3).ToArray());
        Assert.Equal([1, 2, 3], SafetensorsBytes.Read(File.ReadAllBytes(path))["a"].Bytes);
    }

    [Fact]
    public void Create_OfWhatCouldNotBeReadBack_IsRefused()
    {
        using TempFolder folder = new();
        void Refused(params (string Name, TensorType Type, long[] Shape)[] tensors) =>
            Assert.ThrowsAny<ArgumentException>(() => SafetensorsWriter.Create(folder.File("x"), tensors));
        Refused(("a", TensorType.U8, [1]), ("a", TensorType.U8, [1]));
        Refused(("__metadata__", TensorType.U8, [1]));
        Refused(("a", TensorType.Q4_0, [32]));
        Refused(("a", TensorType.U8, [-1]));
        Refused(("a", TensorType.U8, [1, 1, 1, 1, 1, 1, 1, 1, 1]));
        Refused(("a", TensorType.F4, [3]));
        Refused(("a", TensorType.U8, [1L << 62, 2]));
        Refused(("a", TensorType.F32, [1L << 62]));
        Refused(("a", TensorType.U8, [long.MaxValue]), ("b", TensorType.U8, [1]));
        Refused(("\ud800", TensorType.U8, [1]));
        Refused((new string('x', 100_000_000), TensorType.U8, [1]));
        Assert.Empty(Directory.GetFileSystemEntries(folder.Path));
    }

    private static IEnumerable<long> Sizes(List<(string Name, TensorType Type, long[] Shape)> tensors)
    {
        using TempFolder folder = new();
        using SafetensorsWriter writer = SafetensorsWriter.Create(folder.File("x"), tensors);
        return [.. writer.Order.Select(t => t.ByteLength)];
    }

    private static byte[] Written(
        IReadOnlyList<(string Name, TensorType Type, long[] Shape)> tensors, Dictionary<string, string>? metadata, params byte[][] data)
    {
        using TempFolder folder = new();
        using SafetensorsWriter writer = SafetensorsWriter.Create(folder.File("x"), tensors, metadata);
        Array.ForEach(data, bytes => writer.Write(bytes));
        writer.Commit();
        return File.ReadAllBytes(folder.File("x"));
    }
}
