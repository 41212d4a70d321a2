using System.Text;
using Vicuna.Managed.Compression;
using Vicuna.Managed.Models;
using Vicuna.Managed.Tokenization;

namespace PicoVicunaSample;

/// <summary>Everything that the model depends on, in one place.</summary>
internal static class Recipe
{
    /// <summary>Chooses the documents, the first weights and the order of training.</summary>
    public const int Seed = 2026;

    /// <summary>Documents to train on, each once: about five million tokens.</summary>
    public const int Documents = 44_000;

    /// <summary>Most tokens of a sample.</summary>
    public const int SampleTokens = 256;

    /// <summary>Pieces of the vocabulary.</summary>
    public const int Pieces = 1024;

    /// <summary>The model's shape: 1,968,256 weights.</summary>
    public static ModelConfig Config { get; } = new()
    {
        ModelType = "llama",
        HiddenSize = 128,
        IntermediateSize = 384,
        NumHiddenLayers = 8,
        NumAttentionHeads = 4,
        NumKeyValueHeads = 4,
        HeadDim = 32,
        VocabSize = Pieces,
        MaxPositionEmbeddings = 512,
        RmsNormEps = 1e-6f,
        BosTokenId = 1,
        EosTokenIds = [2],
    };

    /// <summary>How it is trained.</summary>
    public static ModelTrainingOptions Training { get; } = new()
    {
        LearningRate = 3e-3,
        WarmupSteps = 100,
        BatchSize = 16,
        MicroBatchSize = 8,
        ValidationSamples = 200,
        Seed = Seed,
        Resume = true,
    };

    /// <summary>The generation_config.json.</summary>
    public static string GenerationConfigJson { get; } =
        """
        {
          "bos_token_id": 1,
          "eos_token_id": 2,
          "max_new_tokens": 200,
          "temperature": 0.7,
          "top_p": 0.9
        }
        """ + "\n";

    /// <summary>
    /// Makes the vocabulary. Letters, digits and signs of ASCII that the corpus lacks are in it too, once each, so that they are not spelled in bytes.
    /// </summary>
    /// <param name="corpus">What the model is trained on.</param>
    /// <returns>A tokenizer.model.</returns>
    public static byte[] Vocabulary(Corpus corpus)
    {
        StringBuilder ascii = new();
        for (char sign = '!'; sign <= '~'; sign++)
        {
            ascii.Append(sign).Append(' ');
        }

        return BpeTrainer.Train(corpus.Training.SelectMany(document => document.Texts).Append(ascii.ToString()), new BpeTrainerOptions { Pieces = Pieces });
    }

    /// <summary>Writes what a checkpoint holds beside what training writes.</summary>
    /// <param name="folder">The checkpoint's folder.</param>
    /// <param name="vocabulary">The tokenizer.model.</param>
    /// <returns>The tokenizer.</returns>
    public static SentencePieceTokenizer WriteFiles(string folder, byte[] vocabulary)
    {
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "generation_config.json"), GenerationConfigJson);
        string path = Path.Combine(folder, "tokenizer.model");
        File.WriteAllBytes(path, vocabulary);
        return SentencePieceTokenizer.Load(path);
    }
}
