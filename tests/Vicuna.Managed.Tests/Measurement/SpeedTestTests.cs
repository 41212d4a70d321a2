using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Kernels.Limits;
using Vicuna.Managed.Kernels.Threading;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.Measurement;

[Collection(nameof(AloneInTheProcess))]
public sealed class SpeedTestTests
{
    [Fact]
    public void Run_OfTheEmbeddedModel_CountsItsMatrices()
    {
        using LanguageModel model = LanguageModel.Load(PicoVicuna.Folder, new LoadOptions { Threads = 2 });
        SpeedTestResult result = SpeedTest.Run(
            model, new SpeedTestOptions { PromptTokens = 20, NewTokens = 4, Repeat = 1 }, cancellationToken: TestContext.Current.CancellationToken);
        // f16: all parameters but the embedding and the gains.
        long gains = 128 * ((2 * 8) + 1);
        Assert.Equal(2 * (model.Config.ParameterCount - (1024 * 128) - gains), result.WeightBytesPerPass);
        Assert.Equal(0, result.AllocatedBytesPerToken);
        Assert.Equal(2, result.Threads);
        Assert.Equal(model.InstructionSet, result.InstructionSet);
        Assert.True(result.PeakMemoryBytes > result.WeightBytesPerPass);
        SpeedTestSample sample = Assert.Single(result.Samples);
        Assert.Equal(sample.DecodeTokensPerSecond, result.DecodeTokensPerSecond);
        Assert.True(sample.DecodeOverMemoryRead > 0 && sample.PrefillOverFmaPeak > 0);
    }

    // Memory that was never written is one page of zeros: reading it would measure the cache.
    [Fact]
    public void Buffer_ThatIsRead_OccupiesMemory()
    {
        const long bytes = 256 << 20;
        using WorkerPool pool = new(1, 0);
        long before = Environment.WorkingSet;
        using MemoryRead memory = new(pool, IsaTier.Scalar, bytes);
        Assert.True(Environment.WorkingSet - before > bytes * 3 / 4);
    }

    [Fact]
    public void Run_OfSeveralSequences_CountsAPassOnceAndEveryToken()
    {
        using LanguageModel model = LanguageModel.Load(PicoVicuna.Folder, new LoadOptions { Threads = 2 });
        SpeedTestOptions options = new() { PromptTokens = 20, NewTokens = 4, Repeat = 1, Batch = 8 };
        SpeedTestSample sample = Assert.Single(SpeedTest.Run(model, options, cancellationToken: TestContext.Current.CancellationToken).Samples);
        double passes = sample.WeightGBPerSecond * 1e9 / model.WeightBytesPerPass;
        Assert.Equal(8, sample.DecodeTokensPerSecond / passes, 1e-6);
    }

    [Theory]
    [InlineData(0, 1, 1, 1, "PromptTokens")]
    [InlineData(1, 0, 1, 1, "NewTokens")]
    [InlineData(1, 1, 0, 1, "found 0")]
    [InlineData(1, 1, 5000, 1, "the most tokens of a pass, found 5000")]
    [InlineData(1, 1, 1, 0, "Repeat")]
    [InlineData(500, 13, 1, 1, "The context holds 512 tokens; 500 of the prompt and 13 new ones are 513.")]
    [InlineData(int.MaxValue, int.MaxValue, 1, 1, "4294967294")]
    public void Run_WithOptionsOutOfRange_SaysWhich(int prompt, int tokens, int batch, int repeat, string says)
    {
        using LanguageModel model = LanguageModel.Load(PicoVicuna.Folder, new LoadOptions { Threads = 1 });
        SpeedTestOptions options = new() { PromptTokens = prompt, NewTokens = tokens, Batch = batch, Repeat = repeat };
        Assert.Contains(says, Assert.ThrowsAny<ArgumentException>(() => SpeedTest.Run(model, options)).Message, StringComparison.Ordinal);
    }
}
