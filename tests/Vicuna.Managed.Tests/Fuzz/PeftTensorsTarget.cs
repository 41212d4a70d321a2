using Vicuna.Managed.Adapters;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Weights;
using static Vicuna.Managed.Tests.Weights.SafetensorsBytes;

namespace Vicuna.Managed.Tests.Fuzz;

/// <summary>Brings the tensors of a file together as an adapter of rank 2: names, shapes and types are the input's.</summary>
internal static class PeftTensorsTarget
{
    private const string Layers = "base_model.model.model.layers.";

    public static string Name => "peft-tensors";

    public static IReadOnlyList<byte[]> Seeds() =>
    [
        File("{" + Tensor(Layers + "0.self_attn.q_proj.lora_A.weight", "F32", "[2,3]", 0, 24) + ","
            + Tensor(Layers + "0.self_attn.q_proj.lora_B.weight", "F32", "[2,2]", 24, 40) + "}", 40),
        File("{" + Tensor(Layers + "31.mlp.down_proj.lora_B.default.weight", "F16", "[5,2]", 0, 20) + ","
            + Tensor(Layers + "31.mlp.down_proj.lora_A.default.weight", "BF16", "[2,1]", 20, 24) + "}", 24),
        File("{" + Tensor(Layers + "7.mlp.up_proj.lora_A.weight", "F32", "[2,0]", 0, 0) + "}"),
        File("{" + Tensor(Layers + "999999.mlp.up_proj.lora_A.weight", "I8", "[2,2]", 0, 4) + "}", 4),
        File("{" + Tensor("base_model.model.lm_head.lora_A.weight", "F32", "[2,1]", 0, 8) + "}", 8),
        File("{" + Tensor("base_model.model.model.layers..lora_A.weight", "F32", "[]", 0, 4) + "}", 4),
        File("{}"),
    ];

    public static void Run(byte[] input)
    {
        using AlignedBuffer block = Block(input);
        PeftConfig config = new() { Rank = 2, Alpha = 4, TargetModules = [] };
        PeftAdapter adapter = PeftAdapterFile.Assemble(config, SafetensorsFile.Read(block.Region, "fuzz"), input.Length);
        Assert.NotEmpty(adapter.Config.TargetModules);
        Assert.Equal(adapter.Pairs.Count, adapter.Pairs.Select(pair => (pair.Layer, pair.Projection)).Distinct().Count());
        Assert.All(adapter.Pairs, pair => Assert.True(pair.A.Length > 0 && pair.B.Length > 0 && pair.A.Length % 2 == 0 && pair.B.Length % 2 == 0));
    }
}
