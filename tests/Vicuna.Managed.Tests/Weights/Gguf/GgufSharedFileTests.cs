using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text.Json;
using Vicuna.Managed.Kernels.Formats;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Tests.Support;
using Vicuna.Managed.Weights;
using Vicuna.Managed.Weights.Gguf;

namespace Vicuna.Managed.Tests.Weights.Gguf;

/// <summary>Files written by llama.cpp's own tools, against values that an independent reader took from them.</summary>
public sealed class GgufSharedFileTests
{
    [Theory]
    [InlineData("tiny-vicuna-f16.gguf")]
    [InlineData("tiny-vicuna-Q8_0.gguf")]
    [InlineData("tiny-vicuna-Q6_K.gguf")]
    [InlineData("tiny-vicuna-Q5_K_M.gguf")]
    [InlineData("tiny-vicuna-Q4_K_M.gguf")]
    [InlineData("tiny-vicuna-Q4_0.gguf")]
    public void Read_TinyVicuna_GivesTheGoldenTypesAndValues(string fileName)
    {
        using MappedFile mapped = MappedFile.Open(SharedFolder.Require($"models/gguf/{fileName}"));
        using JsonDocument goldens = JsonDocument.Parse(File.ReadAllBytes(SharedFolder.Require("goldens/gguf.json")));
        GgufFile file = GgufFile.Read(mapped.Region, fileName);
        JsonElement golden = goldens.RootElement.GetProperty(fileName);

        Assert.Equal(
            golden.GetProperty("tensor_types").EnumerateArray().Select(type => type.GetString()!).Order(StringComparer.Ordinal),
            file.Tensors.Select(tensor => tensor.Info.Type.ToString()).Distinct().Order(StringComparer.Ordinal));
        int compared = 0;
        foreach (JsonProperty expected in golden.GetProperty("first_values").EnumerateObject())
        {
            float[] actual = Values(file.Tensors.Single(tensor => tensor.Info.Name == expected.Name));
            foreach ((JsonElement value, int i) in expected.Value.EnumerateArray().Select((value, i) => (value, i)))
            {
                Assert.Equal(value.GetDouble(), actual[i], Math.Abs(value.GetDouble()) * 1e-6);
                compared++;
            }
        }

        Assert.Equal(24, compared);
    }

    // The layout of every element, not of the first eight: a wrong one gives an error of the weights' own size.
    [Theory]
    [InlineData("tiny-vicuna-Q8_0.gguf", 0.01)]
    [InlineData("tiny-vicuna-Q6_K.gguf", 0.03)]
    [InlineData("tiny-vicuna-Q5_K_M.gguf", 0.06)]
    [InlineData("tiny-vicuna-Q4_K_M.gguf", 0.12)]
    [InlineData("tiny-vicuna-Q4_0.gguf", 0.14)]
    public void Read_QuantizedTinyVicuna_StaysNearTheF16File(string fileName, double tolerance)
    {
        using MappedFile quantized = MappedFile.Open(SharedFolder.Require($"models/gguf/{fileName}"));
        using MappedFile half = MappedFile.Open(SharedFolder.Require("models/gguf/tiny-vicuna-f16.gguf"));
        Dictionary<string, StoredTensor> originals = GgufFile.Read(half.Region, "f16").Tensors.ToDictionary(tensor => tensor.Info.Name);
        IReadOnlyList<StoredTensor> tensors = GgufFile.Read(quantized.Region, fileName).Tensors;
        Assert.Equal(originals.Keys.Order(StringComparer.Ordinal), tensors.Select(tensor => tensor.Info.Name).Order(StringComparer.Ordinal));
        foreach (StoredTensor tensor in tensors)
        {
            float[] expected = Values(originals[tensor.Info.Name]);
            float[] actual = Values(tensor);
            double error = Math.Sqrt(expected.Zip(actual, (e, a) => Math.Pow((double)e - a, 2)).Sum());
            double size = Math.Sqrt(expected.Sum(e => (double)e * e));
            Assert.True(error <= tolerance * size, $"{tensor.Info.Name}: relative error {error / size}");
        }
    }

    [Fact]
    public void Read_Stories_EqualsTheSafetensorsFileUpToRowOrder()
    {
        using MappedFile mapped = MappedFile.Open(SharedFolder.Require("models/gguf/stories260k-f32.gguf"));
        byte[] safetensors = File.ReadAllBytes(SharedFolder.Require("models/stories260k/model.safetensors"));
        int headerLength = (int)BinaryPrimitives.ReadUInt64LittleEndian(safetensors);
        using JsonDocument header = JsonDocument.Parse(safetensors.AsMemory(8, headerLength));
        GgufFile file = GgufFile.Read(mapped.Region, "stories260k-f32.gguf");
        Assert.True(file.Metadata.TryGetInt("llama.attention.head_count", out int heads));
        Assert.True(file.Metadata.TryGetInt("llama.attention.head_count_kv", out int keyHeads));
        Assert.True(file.Metadata.TryGetInt("llama.rope.dimension_count", out int headDim));

        foreach (StoredTensor tensor in file.Tensors)
        {
            JsonElement entry = header.RootElement.GetProperty(tensor.Info.Name);
            Assert.Equal(entry.GetProperty("shape").EnumerateArray().Select(d => d.GetInt64()), tensor.Info.Shape);
            int start = 8 + headerLength + entry.GetProperty("data_offsets")[0].GetInt32();
            ReadOnlySpan<float> expected = MemoryMarshal.Cast<byte, float>(safetensors.AsSpan(start, (int)tensor.Info.ByteLength));
            float[] actual = Values(tensor);
            bool isQuery = tensor.Info.Name.EndsWith("q_proj.weight", StringComparison.Ordinal);
            int permutedHeads = isQuery ? heads : tensor.Info.Name.EndsWith("k_proj.weight", StringComparison.Ordinal) ? keyHeads : 0;
            int columns = (int)tensor.Info.Shape[^1];
            for (int row = 0; row < actual.Length / columns; row++)
            {
                int theirs = permutedHeads == 0 ? row : GgufRowOrder.ToHuggingFace(row, permutedHeads, headDim);
                Assert.True(expected.Slice(theirs * columns, columns).SequenceEqual(actual.AsSpan(row * columns, columns)), $"{tensor.Info.Name}, row {row}");
            }
        }

        Assert.Equal(header.RootElement.EnumerateObject().Count(property => property.Name != "__metadata__"), file.Tensors.Count);
    }

    [Fact]
    public void Metadata_Stories_HoldsConfigurationAndVocabulary()
    {
        using MappedFile mapped = MappedFile.Open(SharedFolder.Require("models/gguf/stories260k-f32.gguf"));
        GgufMetadata metadata = GgufFile.Read(mapped.Region, "stories260k-f32.gguf").Metadata;
        Assert.True(metadata.TryGetString("general.architecture", out string architecture));
        Assert.True(metadata.TryGetFloat("llama.attention.layer_norm_rms_epsilon", out float epsilon));
        Assert.True(metadata.TryGetBool("tokenizer.ggml.add_bos_token", out bool addBos));
        Assert.True(metadata.TryGetStrings("tokenizer.ggml.tokens", out string[] tokens));
        Assert.True(metadata.TryGetFloats("tokenizer.ggml.scores", out float[] scores));
        Assert.True(metadata.TryGetInts("tokenizer.ggml.token_type", out int[] types));
        Assert.Equal(("llama", 1e-5f, true), (architecture, epsilon, addBos));
        Assert.Equal((512, 512, 512), (tokens.Length, scores.Length, types.Length));
        Assert.Equal(["<unk>", "<s>", "</s>", "<0x00>"], tokens[..4]);
        Assert.Equal([2, 3, 3, 6], types[..4]);
    }

    private static float[] Values(StoredTensor tensor)
    {
        float[] values = new float[tensor.Info.ElementCount];
        ReadOnlySpan<byte> bytes = tensor.Region.Bytes(0, (int)tensor.Region.Length);
        switch (tensor.Info.Type)
        {
            case TensorType.F32:
                MemoryMarshal.Cast<byte, float>(bytes).CopyTo(values);
                break;
            case TensorType.F16:
                ReadOnlySpan<Half> halves = MemoryMarshal.Cast<byte, Half>(bytes);
                for (int i = 0; i < values.Length; i++)
                {
                    values[i] = (float)halves[i];
                }

                break;
            case TensorType.Q8_0:
                Q8_0.Dequantize(bytes, values);
                break;
            case TensorType.Q4_0:
                Q4_0.Dequantize(bytes, values);
                break;
            case TensorType.Q4_K:
                Q4_K.Dequantize(bytes, values);
                break;
            case TensorType.Q5_K:
                Q5_K.Dequantize(bytes, values);
                break;
            case TensorType.Q6_K:
                Q6_K.Dequantize(bytes, values);
                break;
            default:
                Assert.Fail($"No case for {tensor.Info.Type}.");
                break;
        }

        return values;
    }
}
