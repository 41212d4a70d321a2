using System.Text;
using Vicuna.Managed.Chat;
using Vicuna.Managed.Compression;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Tests.Tokenization;

namespace Vicuna.Managed.Tests.Fuzz;

/// <summary>Fuzzes <see cref="TrainingData"/>: the first byte chooses how the rest is read.</summary>
internal static class TrainingDataTarget
{
    public static string Name => "training-data";

    public static IReadOnlyList<byte[]> Seeds() =>
    [
        .. new[]
        {
            "\u0000[{\"instruction\":\"Say a.\",\"input\":\"\",\"output\":\"a\"},{\"instruction\":\"Say b.\",\"input\":\"c\",\"output\":\"b \\ud83e\\udd99\"}]",
            "\u0001{\"instruction\":\"Say a.\",\"output\":\"a\"}\n\n{\"instruction\":\"x\",\"input\":null,\"output\":\"\"}\n",
            "\u0004[{\"conversations\":[{\"from\":\"human\",\"value\":\"a\"},{\"from\":\"gpt\",\"value\":\"b\"},{\"from\":\"human\",\"value\":\"c\"},{\"from\":\"gpt\",\"value\":\"d\"}]}]",
            "\u0005{\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"}]}",
            "\u0008{\"messages\":[{\"role\":\"assistant\",\"content\":\"\\ud800\"}]}",
            "\u0002[{\"instruction\":1}, [], \"x\", 3,]",
            "\u0007The sky is blue.\n[ {",
            "\u0003[",
            "\u0000",
            "",
        }.Select(Encoding.UTF8.GetBytes),
    ];

    public static void Run(byte[] input)
    {
        byte choice = input.Length > 0 ? input[0] : (byte)0;
        using AlignedBuffer file = AlignedBuffer.Allocate(Math.Max(0, input.Length - 1));
        input.AsSpan(Math.Min(1, input.Length)).CopyTo(file.Writable(0, (int)file.Length));
        TrainingDataOptions options = new() { SkipBroken = choice % 2 == 1, CutoffTokens = 2 + (choice % 5 * 30) };
        TrainingDataKind kind = choice == 7 ? TrainingDataKind.Text : TrainingDataKind.Auto;
        IPromptFormatter formatter = choice % 4 == 0 ? PromptTemplates.Vicuna : PromptTemplates.ChatMl;
        TrainingSet set = TrainingData.Read(file.Region, "fuzz", options, kind, Vocabularies.Pico, () => formatter, CancellationToken.None);
        Assert.Equal(set.Records, set.Samples.Count + set.Broken + set.WithoutTargets);
        Assert.All(set.Samples, sample => Assert.InRange(sample.Ids.Count, 2, options.CutoffTokens));
    }
}
