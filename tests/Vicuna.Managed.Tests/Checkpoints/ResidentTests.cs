using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.Checkpoints;

/// <summary>Weights copied into memory: every container, and nothing left of the files.</summary>
public sealed class ResidentTests
{
    private static readonly int[] Ids = [1, 300, 7, 42, 301];

    public static TheoryData<string, bool> Containers()
    {
        TheoryData<string, bool> data = [];
        foreach (string model in (string[])
        [
            "models/stories260k", "models/tiny-vicuna-f16-sharded", "models/tiny-vicuna-bin", "models/tiny-vicuna-bf16",
            "models/gguf/stories260k-f32.gguf", "models/gguf/tiny-vicuna-Q4_K_M.gguf", "models/gguf/tiny-vicuna-Q4_0.gguf", "models/gguf/tiny-vicuna-Q8_0.gguf",
        ])
        {
            data.Add(model, false);
            data.Add(model, true);
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Containers))]
    public void Load_CopiedThenCutShort_ComputesTheSameBits(string path, bool hugePages)
    {
        string source = SharedFolder.Require(path);
        float[] expected = Logits(source, new LoadOptions());
        using TempFolder folder = new();
        string[] files = File.Exists(source) ? [source] : Directory.GetFiles(source);
        foreach (string file in files)
        {
            File.Copy(file, folder.File(Path.GetFileName(file)));
        }

        string copy = File.Exists(source) ? folder.File(Path.GetFileName(source)) : folder.Path;
        using LanguageModel model = LanguageModel.Load(copy, new LoadOptions { Threads = 2, CopyToMemory = true, HugePages = hugePages });
        foreach (string file in Directory.GetFiles(folder.Path))
        {
            using FileStream stream = new(file, FileMode.Truncate);
        }

        Assert.Equal(expected, Logits(model));
    }

    private static float[] Logits(string path, LoadOptions options)
    {
        using LanguageModel model = LanguageModel.Load(path, options);
        return Logits(model);
    }

    private static float[] Logits(LanguageModel model)
    {
        using Generator generator = model.CreateGenerator();
        generator.Append(Ids);
        return generator.GetLogits().ToArray();
    }
}
