using System.Text;
using Vicuna.Managed.Weights;

namespace Vicuna.Managed.Tests.Weights;

public sealed class ShardedIndexTests
{
    private const string Name = "model.safetensors.index.json";

    /// <summary>Names that would leave the folder on some system, or name no file there.</summary>
    public static TheoryData<string> BadNames =>
    [
        "", ".", "..", "../x.safetensors", "..\\x.safetensors", "/etc/x.safetensors", "C:\\x.safetensors", "C:x.safetensors", "\\\\srv\\share\\x.safetensors",
        "a/b.safetensors", "./x.safetensors", "x.safetensors/", "m:ads.safetensors", "x.safetensors:ads", "x\0.safetensors", "x.safetensors\0",
        "x\n.safetensors",
        "x\u001b.safetensors", "x\u0085.safetensors", " x.safetensors", "x.safetensors ", ".x.safetensors", "x.safetensors.", ".safetensors", "CON.safetensors",
        "con.safetensors", "nul.x.safetensors", "COM1.safetensors", "lpt9.safetensors", "COM\u00b9.safetensors", "CON .safetensors", "CONIN$.safetensors",
        "x.bin", "x.SafeTensors", "xsafetensors", "x*.safetensors", "x?.safetensors", "x|.safetensors", "\"x.safetensors", "~/x.safetensors",
        new string('x', 244) + ".safetensors", new string('\u00e9', 130) + ".safetensors",
    ];

    public static TheoryData<string, string> BadIndexes => new()
    {
        { "", "damaged JSON" },
        { "[]", "expected StartObject, found StartArray" },
        { "null", "found Null" },
        { "{}", "'weight_map': expected an object, found no such field" },
        { "{\"weight_map\":null}", "'weight_map': expected StartObject, found Null" },
        { "{\"weight_map\":[]}", "found StartArray" },
        { "{\"weight_map\":1}", "found Number" },
        { "{\"weight_map\":{}}", "at least one tensor" },
        { "{\"weight_map\":{\"a\":null}}", "'a': expected String, found Null" },
        { "{\"weight_map\":{\"a\":1}}", "'a': expected String, found Number" },
        { "{\"weight_map\":{\"a\":[\"x.safetensors\"]}}", "'a': expected String, found StartArray" },
        { "{\"weight_map\":{\"a\":{}}}", "'a': expected String, found StartObject" },
        { "{\"weight_map\":{\"a\":\"x.safetensors\",\"\\u0061\":\"y.safetensors\"}}", "found it twice, in x.safetensors and y.safetensors" },
        { "{\"weight_map\":{\"a\":\"x.safetensors\",\"a\":\"x.safetensors\"}}", "'a': expected each tensor once" },
        { "{\"weight_map\":{\"a\":\"x.safetensors\"},\"weight_map\":{\"b\":\"x.safetensors\"}}", "'weight_map': expected it once" },
        { "{\"weight_map\":{\"a\":\"x.safetensors\",\"b\":\"X.safetensors\"}}", "'b': expected file names that differ in more" },
        { "{\"weight_map\":{\"a\":\"x.safetensors\",}}", "damaged JSON" },
        { "{\"weight_map\":{\"a\":\"x.safetensors\"}}{}", "damaged JSON" },
        { "{\"weight_map\":{\"a\":\"x.safetensors\"}}\0", "damaged JSON" },
        { "{\"weight_map\":{\"\\ud800\":\"x.safetensors\"}}", "damaged JSON" },
        { "{\"weight_map\":{\"a\":\"\\ud800x.safetensors\"}}", "damaged JSON" },
        { "{\"metadata\":{\"\\ud800\":1},\"weight_map\":{\"a\":\"x.safetensors\"}}", "damaged JSON" },
        { "{\"weight_map\":{\"a\":\"x.safetensors\"}", "damaged JSON" },
        { "\ufeff{\"weight_map\":{\"a\":\"x.safetensors\"}}", "damaged JSON" },
        { "{\"x\":" + new string('[', 100_000), "damaged JSON" },
    };

    [Fact]
    public void Read_AnIndex_GivesTheMapAndTheShardsInOrder()
    {
        ShardedIndex index = Read(
            "{\"x\":[{}],\"metadata\":{\"total_parameters\":1,\"total_size\":13476831232},"
            + "\"weight_map\":{\"b\":\"2.safetensors\",\"a\":\"1.safetensors\",\"c\":\"2.safetensors\",\"A\":\"1.safetensors\"}}");
        Assert.Equal(["2.safetensors", "1.safetensors"], index.Shards);
        Assert.Equal(["b 2", "a 1", "c 2", "A 1"], index.WeightMap.Select(pair => $"{pair.Key} {pair.Value[..1]}"));
        Assert.Equal((13476831232L, Name), (index.TotalSize, index.FileName));
    }

    [Theory]
    [InlineData("{\"total_size\":13476831232.0}", 13476831232L)]
    [InlineData("{\"total_size\":0}", 0L)]
    [InlineData("{\"total_size\":1.5}", null)]
    [InlineData("{\"total_size\":1e300}", null)]
    [InlineData("{\"total_size\":1e999}", null)]
    [InlineData("{\"total_size\":\"5\"}", null)]
    [InlineData("{\"total_size\":{\"total_size\":5}}", null)]
    [InlineData("{}", null)]
    [InlineData("null", null)]
    [InlineData("[1,[2]]", null)]
    public void Read_TotalSize_CountsOnlyWhenItIsAWholeNumber(string metadata, long? expected) =>
        Assert.Equal(expected, Read($"{{\"metadata\":{metadata},\"weight_map\":{{\"a\":\"x.safetensors\"}}}}").TotalSize);

    [Theory]
    [MemberData(nameof(BadNames))]
    public void Read_AShardThatIsNoPlainFileName_IsRefused(string name)
    {
        Assert.NotNull(ShardName.Problem(name, ".safetensors"));
        string json = string.Concat(name.Select(c => $"\\u{(int)c:x4}"));
        string message = Refused($"{{\"weight_map\":{{\"model.norm.weight\":\"{json}\"}}}}");
        Assert.Contains("'model.norm.weight': expected the name of a *.safetensors file", message);
        Assert.DoesNotContain(message, char.IsControl);
    }

    [Theory]
    [InlineData("model-00001-of-00002.safetensors")]
    [InlineData("model (1).safetensors")]
    [InlineData("mod\u00e8le.safetensors")]
    [InlineData("x..safetensors")]
    [InlineData("COM10.safetensors")]
    [InlineData("console.safetensors")]
    public void Problem_APlainFileName_IsNone(string name) => Assert.Null(ShardName.Problem(name, ".safetensors"));

    [Theory]
    [MemberData(nameof(BadIndexes))]
    public void Read_ABadIndex_IsRefused(string json, string message) => Assert.Contains(message, Refused(json));

    [Fact]
    public void Read_BrokenUtf8_IsRefused()
    {
        byte[] json = [.. "{\"weight_map\":{\""u8, 0xc0, 0xaf];
        Assert.Contains("UTF-8", Assert.Throws<ModelFormatException>(() => ShardedIndex.Read(json, Name, ".safetensors")).Message);
    }

    [Fact]
    public void Read_TooManyTensorsOrShards_EndsAtTheCap()
    {
        StringBuilder json = new("{\"weight_map\":{");
        for (int i = 0; i <= ShardedIndex.MaxTensors; i++)
        {
            json.Append(i > 0 ? "," : "").Append($"\"{i}\":\"x.safetensors\"");
        }

        using (Budget budget = new(seconds: 10, megabytes: 300))
        {
            Assert.Contains("at most 1000000 tensors", Refused(json.Append("}}").ToString()));
        }

        json.Clear().Append("{\"weight_map\":{");
        for (int i = 0; i < 100_000; i++)
        {
            json.Append(i > 0 ? "," : "").Append($"\"{i}\":\"{i}.safetensors\"");
        }

        using Budget small = new(seconds: 2, megabytes: 40);
        Assert.Contains("at most 10000 files", Refused(json.Append("}}").ToString()));
    }

    private static ShardedIndex Read(string json) => ShardedIndex.Read(Encoding.UTF8.GetBytes(json), Name, ".safetensors");

    private static string Refused(string json)
    {
        string message = Assert.Throws<ModelFormatException>(() => Read(json)).Message;
        Assert.StartsWith($"{Name}: ", message);
        return message;
    }
}
