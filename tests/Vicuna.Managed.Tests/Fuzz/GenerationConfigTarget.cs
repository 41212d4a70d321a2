using System.Text;
using Vicuna.Managed.Checkpoints;
using Vicuna.Managed.Generation;

namespace Vicuna.Managed.Tests.Fuzz;

/// <summary>Reads generation_config.json; what is accepted must be options that a generator takes.</summary>
internal static class GenerationConfigTarget
{
    private const int VocabSize = 512;

    public static string Name => "generation-config";

    public static IReadOnlyList<byte[]> Seeds() =>
    [
        .. new[]
        {
            "{\"bos_token_id\":1,\"eos_token_id\":2,\"max_new_tokens\":200,\"temperature\":0.7,\"top_p\":0.9,\"top_k\":50,\"repetition_penalty\":1.2}",
            "{\"do_sample\":true,\"eos_token_id\":[2,511],\"min_p\":0.05}",
            "{\"do_sample\":false,\"temperature\":0.0,\"top_p\":1.5,\"eos_token_id\":512}",
            "{\"do_sample\":null,\"temperature\":-1,\"transformers_version\":\"4.28.1\"}",
            "{\"do_sample\":\"yes\",\"do_sample\":1}",
            "null",
            "",
        }.Select(Encoding.UTF8.GetBytes),
    ];

    public static void Run(byte[] input)
    {
        GenerationDefaults defaults = GenerationDefaults.Read(input, "fuzz.json", VocabSize);
        OptionsResolver.Resolve(defaults.Options, VocabSize);
        Assert.All(defaults.EndOfSequenceIds, id => Assert.InRange(id, 0, VocabSize - 1));
    }
}
