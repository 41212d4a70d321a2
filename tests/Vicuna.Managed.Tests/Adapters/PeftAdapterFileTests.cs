using System.Runtime.InteropServices;
using Vicuna.Managed.Adapters;
using Vicuna.Managed.Models;
using Vicuna.Managed.Tests.Support;
using Vicuna.Managed.Tests.Weights.Torch;
using Vicuna.Managed.Weights;

namespace Vicuna.Managed.Tests.Adapters;

public sealed class PeftAdapterFileTests
{
    private const string Config = """{"peft_type":"LORA","r":2,"lora_alpha":4,"target_modules":["q_proj","down_proj"]}""";
    private const string Layers = "base_model.model.model.layers.";
    private const string A = Layers + "3.self_attn.q_proj.lora_A.weight";
    private const string B = Layers + "3.self_attn.q_proj.lora_B.weight";

    [Fact]
    public void Read_OfWhatWriteWrote_GivesItBackAndTheSameBytes()
    {
        using TempFolder folder = new();
        PeftAdapter adapter = Sample();
        string path = folder.File("new");
        PeftAdapterFile.Write(path, adapter);
        Assert.Equal(["adapter_config.json", "adapter_model.safetensors"], Directory.GetFiles(path).Select(Path.GetFileName).Order());
        byte[][] first = [.. Directory.GetFiles(path).Order().Select(File.ReadAllBytes)];
        PeftAdapter read = PeftAdapterFile.Read(path);
        Assert.Equal(adapter.Config.Scale, read.Config.Scale);
        // By block and in the order of the projections, whatever the order was.
        Assert.Equal([(0, "mlp.down_proj"), (3, "self_attn.q_proj"), (3, "mlp.down_proj")], read.Pairs.Select(pair => (pair.Layer, pair.Projection)));
        Assert.Equal(["q_proj", "down_proj"], read.Config.TargetModules);
        foreach (LoraPair pair in adapter.Pairs)
        {
            LoraPair same = read.Pairs.Single(other => (other.Layer, other.Projection) == (pair.Layer, pair.Projection));
            Assert.Equal(pair.A, same.A);
            Assert.Equal(pair.B, same.B);
        }

        PeftAdapterFile.Write(path, read with { Config = adapter.Config });
        Assert.Equal(first, Directory.GetFiles(path).Order().Select(File.ReadAllBytes));
    }

    [Fact]
    public void Write_OverAnotherAdapter_ReplacesIt()
    {
        using TempFolder folder = new();
        PeftAdapterFile.Write(folder.Path, Sample());
        PeftAdapter other = new(new PeftConfig { Rank = 1, Alpha = 3, TargetModules = [] }, [new LoraPair(1, "mlp.up_proj", 1, [1, 2], [3, 4, 5])]);
        PeftAdapterFile.Write(folder.Path, other);
        PeftAdapter read = PeftAdapterFile.Read(folder.Path);
        Assert.Equal(3f, read.Config.Scale);
        Assert.Equal(["up_proj"], read.Config.TargetModules);
        Assert.Equal([3f, 4, 5], Assert.Single(read.Pairs).B);
    }

    [Fact]
    public void Write_ThatCannotFinish_LeavesNoAdapterBehind()
    {
        using TempFolder folder = new();
        // The name of the tensors is taken by a folder: the last step but one fails.
        Directory.CreateDirectory(folder.File("adapter_model.safetensors"));
        Assert.ThrowsAny<Exception>(() => PeftAdapterFile.Write(folder.Path, Sample()));
        Assert.Empty(Directory.GetFiles(folder.Path));
    }

    [Theory]
    [InlineData("self_attn.qkv_proj", 2, 4, 4)]
    [InlineData("self_attn.q_proj", 3, 6, 6)]
    [InlineData("self_attn.q_proj", 2, 5, 4)]
    [InlineData("self_attn.q_proj", 2, 4, 0)]
    public void Write_OfFactorsThatDoNotFit_Refuses(string projection, int rank, int a, int b)
    {
        using TempFolder folder = new();
        PeftAdapter adapter = Sample() with { Pairs = [new LoraPair(0, projection, rank, new float[a], new float[b])] };
        Assert.Throws<ArgumentException>(() => PeftAdapterFile.Write(folder.Path, adapter));
        Assert.Throws<ArgumentException>(() => PeftAdapterFile.Write(folder.Path, adapter with { Pairs = [] }));
        Assert.Throws<ArgumentException>(() =>
            PeftAdapterFile.Write(folder.Path, adapter with { Pairs = [new LoraPair(0, "self_attn.q_proj", 2, [1, float.NaN], [1, 1])] }));
        Assert.Empty(Directory.GetFiles(folder.Path));
    }

    [Theory]
    [InlineData(TensorType.F32)]
    [InlineData(TensorType.F16)]
    [InlineData(TensorType.BF16)]
    public void Read_OfEveryType_Widens(TensorType type)
    {
        using TempFolder folder = new();
        Dictionary<string, TinyTensor> tensors = new()
        {
            // As in a state dict: with the adapter's name.
            [Layers + "12.mlp.gate_proj.lora_A.default.weight"] = new(type, [2, 3], [1, -2, 0.5f, 4, 0, 3]),
            [Layers + "12.mlp.gate_proj.lora_B.default.weight"] = new(type, [1, 2], [8, -0.25f]),
        };
        LoraPair pair = Assert.Single(Read(folder, tensors).Pairs);
        Assert.Equal((12, "mlp.gate_proj", 2), (pair.Layer, pair.Projection, pair.Rank));
        Assert.Equal([1, -2, 0.5f, 4, 0, 3], pair.A);
        Assert.Equal([8, -0.25f], pair.B);
    }

    [Theory]
    [InlineData(A, "1, 3", B, "2, 2", TensorType.F32, A)] // another rank than the config's
    [InlineData(A, "2, 3", B, "2, 3", TensorType.F32, B)]
    [InlineData(A, "6", B, "2, 2", TensorType.F32, A)]
    [InlineData(A, "2, 0", B, "2, 2", TensorType.F32, A)]
    [InlineData(A, "2, 3", B, "2, 2", TensorType.F64, A)]
    [InlineData(A, "2, 3", Layers + "4.self_attn.q_proj.lora_B.weight", "2, 2", TensorType.F32, A)]
    [InlineData(A, "2, 3", Layers + "3.self_attn.q_proj.lora_A.default.weight", "2, 3", TensorType.F32, "")]
    [InlineData(A, "2, 3", Layers + "3.self_attn.q_proj.lora_magnitude_vector", "2", TensorType.F32, Layers + "3.self_attn.q_proj.lora_magnitude_vector")]
    [InlineData(A, "2, 3", Layers + "03.self_attn.q_proj.lora_B.weight", "2, 2", TensorType.F32, Layers + "03.self_attn.q_proj.lora_B.weight")]
    [InlineData(A, "2, 3", Layers + "-3.self_attn.q_proj.lora_B.weight", "2, 2", TensorType.F32, Layers + "-3.self_attn.q_proj.lora_B.weight")]
    [InlineData(A, "2, 3", Layers + "3.lora_B.weight", "2, 2", TensorType.F32, Layers + "3.lora_B.weight")]
    [InlineData(A, "2, 3", "base_model.model.lm_head.lora_B.weight", "2, 2", TensorType.F32, "base_model.model.lm_head.lora_B.weight")]
    [InlineData(A, "2, 3", "base_model.model.lm_head.weight", "2, 2", TensorType.F32, "base_model.model.lm_head.weight")]
    public void Read_OfTensorsThatMakeNoAdapter_NamesOne(string first, string firstShape, string second, string secondShape, TensorType type, string named)
    {
        using TempFolder folder = new();
        Dictionary<string, TinyTensor> tensors = new() { [first] = Zeros(type, firstShape), [second] = Zeros(type, secondShape) };
        ModelFormatException found = Assert.Throws<ModelFormatException>(() => Read(folder, tensors));
        Assert.Equal("adapter_model.safetensors", found.FileName);
        Assert.True(named.Length == 0 || found.Item == named, found.Message);
    }

    [Fact]
    public void Read_OfNumbersThatAreNone_Refuses()
    {
        using TempFolder folder = new();
        Dictionary<string, TinyTensor> tensors = new() { [A] = Zeros(TensorType.F32, "2, 3"), [B] = new(TensorType.F32, [1, 2], [1, float.NaN]) };
        Assert.Contains("finite", Assert.Throws<ModelFormatException>(() => Read(folder, tensors)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Read_OfAFolderWithoutAdapter_SaysWhatIsMissing()
    {
        using TempFolder folder = new();
        Assert.Contains("adapter_config.json", Assert.Throws<ModelFormatException>(() => PeftAdapterFile.Read(folder.Path)).Message, StringComparison.Ordinal);
        folder.Write("adapter_config.json", Config);
        string message = Assert.Throws<ModelFormatException>(() => PeftAdapterFile.Read(folder.Path)).Message;
        Assert.Contains("adapter_model.safetensors", message, StringComparison.Ordinal);
        folder.Write("adapter_model.safetensors", TinyModel.Safetensors(new SortedDictionary<string, TinyTensor>()));
        Assert.Throws<ModelFormatException>(() => PeftAdapterFile.Read(folder.Path));
        // Without safetensors the .bin is read, by the reader of PyTorch's files.
        File.Delete(folder.File("adapter_model.safetensors"));
        folder.Write("adapter_model.bin", TorchFileBuilder.Valid().Build());
        ModelFormatException found = Assert.Throws<ModelFormatException>(() => PeftAdapterFile.Read(folder.Path));
        Assert.Equal(("adapter_model.bin", "w"), (found.FileName, found.Item));
    }

    [Fact]
    public void Read_OfATorchFile_TakesItsTensors()
    {
        using TempFolder folder = new();
        folder.Write("adapter_config.json", Config);
        byte[] halves = MemoryMarshal.AsBytes<Half>([(Half)1, (Half)2, (Half)3, (Half)4]).ToArray();
        byte[] pickle = PickleWriter.StateDict(new TensorSpec(A, [2, 2]), new TensorSpec(B, [2, 2]) { Key = "1" });
        folder.Write("adapter_model.bin", TorchFileBuilder.Of(pickle, ("0", halves), ("1", halves)).Build());
        LoraPair pair = Assert.Single(PeftAdapterFile.Read(folder.Path).Pairs);
        Assert.Equal((3, "self_attn.q_proj"), (pair.Layer, pair.Projection));
        Assert.Equal([1f, 2, 3, 4], pair.A);
        Assert.Equal([1f, 2, 3, 4], pair.B);
    }

    [Fact]
    public void Read_OfTheGolden_HasAllProjections()
    {
        using TempFolder folder = new();
        File.Copy(SharedFolder.Require("goldens/lora/end.safetensors"), folder.File("adapter_model.safetensors"));
        folder.Write("adapter_config.json", """{"peft_type":"LORA","r":4,"lora_alpha":8,"target_modules":"all-linear"}""");
        PeftAdapter adapter = PeftAdapterFile.Read(folder.Path);
        Assert.Equal(28, adapter.Pairs.Count);
        Assert.Equal(["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"], adapter.Config.TargetModules);
        Assert.All(adapter.Pairs, pair => Assert.Contains(pair.B, value => value != 0));
        Assert.Equal([0, 1, 2, 3], adapter.Pairs.Select(pair => pair.Layer).Distinct());
    }

    [Fact]
    public void TensorName_OfEveryProjection_IsReadAsWritten()
    {
        foreach (BlockMatrix matrix in Enum.GetValues<BlockMatrix>())
        {
            foreach (bool isB in new[] { false, true })
            {
                PeftTensorName name = new(17, matrix, isB);
                Assert.True(PeftTensorName.TryParse(name.ToString(), out PeftTensorName parsed));
                Assert.Equal(name, parsed);
            }
        }

        Assert.Equal(Layers + "0.mlp.up_proj.lora_B.weight", new PeftTensorName(0, BlockMatrix.Up, true).ToString());
    }

    private static PeftAdapter Sample() => new(
        new PeftConfig { Rank = 2, Alpha = 8, TargetModules = ["q_proj", "down_proj"], BaseModel = "x" },
        [
            new LoraPair(3, "mlp.down_proj", 2, [1, 2, 3, 4], [5, 6]),
            new LoraPair(3, "self_attn.q_proj", 2, [1, 2, 3, 4, 5, 6], [7, 8, 9, 10]),
            new LoraPair(0, "mlp.down_proj", 2, [0.1f, 0.2f], [0.3f, 0.4f]),
        ]);

    private static TinyTensor Zeros(TensorType type, string shape)
    {
        long[] dimensions = [.. shape.Split(", ").Select(long.Parse)];
        return new TinyTensor(type, dimensions, new float[dimensions.Aggregate(1L, (product, size) => product * size)]);
    }

    private static PeftAdapter Read(TempFolder folder, Dictionary<string, TinyTensor> tensors)
    {
        folder.Write("adapter_config.json", Config);
        folder.Write("adapter_model.safetensors", TinyModel.Safetensors(new SortedDictionary<string, TinyTensor>(tensors, StringComparer.Ordinal)));
        return PeftAdapterFile.Read(folder.Path);
    }
}
