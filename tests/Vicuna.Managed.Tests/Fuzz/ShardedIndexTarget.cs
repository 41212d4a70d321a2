using System.Text;
using Vicuna.Managed.Weights;

namespace Vicuna.Managed.Tests.Fuzz;

/// <summary>Fuzzes <see cref="ShardedIndex"/>.</summary>
public static class ShardedIndexTarget
{
    public static string Name => "sharded-index";

    public static IReadOnlyList<byte[]> Seeds() =>
    [
        .. new[]
        {
            "{\"metadata\":{\"total_size\":123,\"x\":[1,{}]},\"weight_map\":{\"a\":\"m-1.safetensors\",\"b\":\"m-2.safetensors\",\"c\":\"m-1.safetensors\"}}",
            "{\"weight_map\":{\"\\u00e9\\ud83e\\udd99\":\"x\\u002esafetensors\"},\"metadata\":null,\"y\":[[[\"\\t\"]]]}",
            "{\"weight_map\":{\"a\":\"../m.safetensors\"}}",
            "{\"weight_map\":{\"a\":\"CON.safetensors\",\"b\":null}}",
            "{\"metadata\":{\"total_size\":1.5e3},\"weight_map\":{}}",
            "[{\"weight_map\":\"\\ud800\"}]",
            "",
        }.Select(Encoding.UTF8.GetBytes),
    ];

    public static void Run(byte[] input)
    {
        try
        {
            ShardedIndex index = ShardedIndex.Read(input, "fuzz", ".safetensors");
            Assert.NotEmpty(index.Shards);
            Assert.All(index.WeightMap.Values, shard => Assert.Contains(shard, index.Shards));
            Assert.All(index.Shards, shard => Assert.Equal(Path.Combine("/folder", shard), Path.GetFullPath(Path.Combine("/folder", shard))));
        }
        catch (ModelFormatException)
        {
        }
    }
}
