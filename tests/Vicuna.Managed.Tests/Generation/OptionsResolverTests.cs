using Vicuna.Managed.Generation;
using Vicuna.Managed.Sampling;

namespace Vicuna.Managed.Tests.Generation;

public sealed class OptionsResolverTests
{
    private const int VocabSize = 100;

    private static Dictionary<string, GenerationOptions> Good { get; } = new()
    {
        ["none"] = new(),
        ["least"] = new()
        {
            MaxNewTokens = 1, Temperature = 0, TopK = 0, TopP = double.Epsilon, MinP = 0,
            RepetitionPenalty = double.Epsilon, PresencePenalty = -100, FrequencyPenalty = -100, Seed = long.MinValue,
        },
        ["most"] = new()
        {
            MaxNewTokens = int.MaxValue, Temperature = 100, TopK = int.MaxValue, TopP = 1, MinP = 1,
            RepetitionPenalty = 100, PresencePenalty = 100, FrequencyPenalty = 100, Seed = long.MaxValue,
        },
        ["first and last token"] = new() { StopTokens = [0, 99], LogitBias = new Dictionary<int, float> { [0] = float.NegativeInfinity, [99] = float.MaxValue } },
        ["empty lists"] = new() { StopTokens = [], StopStrings = [], LogitBias = new Dictionary<int, float>() },
        ["as many and as long stops as there may be"] = new() { StopStrings = [.. Enumerable.Repeat(new string('x', 1024), 64)] },
    };

    // Options; the property at fault; what the message says was found.
    private static Dictionary<string, (GenerationOptions Options, string Property, string Found)> Bad { get; } = new()
    {
        ["no new tokens"] = (new() { MaxNewTokens = 0 }, "MaxNewTokens", "found 0."),
        ["negative new tokens"] = (new() { MaxNewTokens = -7 }, "MaxNewTokens", "found -7."),
        ["negative temperature"] = (new() { Temperature = -0.25 }, "Temperature", "found -0.25."),
        ["high temperature"] = (new() { Temperature = 100.5 }, "Temperature", "found 100.5."),
        ["temperature NaN"] = (new() { Temperature = double.NaN }, "Temperature", "found NaN."),
        ["temperature infinity"] = (new() { Temperature = double.PositiveInfinity }, "Temperature", "found Infinity."),
        ["negative top-k"] = (new() { TopK = -1 }, "TopK", "found -1."),
        ["top-p 0"] = (new() { TopP = 0 }, "TopP", "found 0."),
        ["negative top-p"] = (new() { TopP = -0.5 }, "TopP", "found -0.5."),
        ["top-p above 1"] = (new() { TopP = 1.5 }, "TopP", "found 1.5."),
        ["top-p NaN"] = (new() { TopP = double.NaN }, "TopP", "found NaN."),
        ["negative min-p"] = (new() { MinP = -0.5 }, "MinP", "found -0.5."),
        ["min-p above 1"] = (new() { MinP = 1.25 }, "MinP", "found 1.25."),
        ["min-p NaN"] = (new() { MinP = double.NaN }, "MinP", "found NaN."),
        ["repetition penalty 0"] = (new() { RepetitionPenalty = 0 }, "RepetitionPenalty", "found 0."),
        ["negative repetition penalty"] = (new() { RepetitionPenalty = -1 }, "RepetitionPenalty", "found -1."),
        ["high repetition penalty"] = (new() { RepetitionPenalty = 100.25 }, "RepetitionPenalty", "found 100.25."),
        ["repetition penalty NaN"] = (new() { RepetitionPenalty = double.NaN }, "RepetitionPenalty", "found NaN."),
        ["low presence penalty"] = (new() { PresencePenalty = -100.5 }, "PresencePenalty", "found -100.5."),
        ["high presence penalty"] = (new() { PresencePenalty = 100.5 }, "PresencePenalty", "found 100.5."),
        ["presence penalty NaN"] = (new() { PresencePenalty = double.NaN }, "PresencePenalty", "found NaN."),
        ["low frequency penalty"] = (new() { FrequencyPenalty = -101 }, "FrequencyPenalty", "found -101."),
        ["high frequency penalty"] = (new() { FrequencyPenalty = 101 }, "FrequencyPenalty", "found 101."),
        ["frequency penalty infinity"] = (new() { FrequencyPenalty = double.NegativeInfinity }, "FrequencyPenalty", "found -Infinity."),
        ["bias NaN"] = (new() { LogitBias = Bias(5, float.NaN) }, "LogitBias", "found NaN."),
        ["bias infinity"] = (new() { LogitBias = Bias(5, float.PositiveInfinity) }, "LogitBias", "found Infinity."),
        ["bias of a token beyond the vocabulary"] = (new() { LogitBias = Bias(100, 1) }, "LogitBias", "Token id 100 "),
        ["bias of a negative token"] = (new() { LogitBias = Bias(-1, 1) }, "LogitBias", "Token id -1 "),
        ["stop token beyond the vocabulary"] = (new() { StopTokens = [2, 100] }, "StopTokens", "Token id 100 "),
        ["negative stop token"] = (new() { StopTokens = [-5] }, "StopTokens", "Token id -5 "),
        ["empty stop"] = (new() { StopStrings = ["a", string.Empty] }, "StopStrings", "found 0 characters."),
        ["null stop"] = (new() { StopStrings = [null!] }, "StopStrings", "found null."),
        ["long stop"] = (new() { StopStrings = [new string('x', 1025)] }, "StopStrings", "found 1025 characters."),
        ["many stops"] = (new() { StopStrings = [.. Enumerable.Repeat("x", 65)] }, "StopStrings", "found 65."),
    };

    public static TheoryData<string> GoodNames() => [.. Good.Keys];

    public static TheoryData<string> BadNames() => [.. Bad.Keys];

    [Theory]
    [MemberData(nameof(GoodNames))]
    public void Resolve_OfValuesWithinTheirRanges_KeepsThem(string name)
    {
        GenerationOptions options = Good[name];
        SamplingSettings settings = OptionsResolver.Resolve(options, VocabSize);
        Assert.Equal(options.Temperature ?? 0, settings.Temperature);
        Assert.Equal(options.TopK ?? 0, settings.TopK);
        Assert.Equal(options.TopP ?? 1, settings.TopP);
        Assert.Equal(options.MinP ?? 0, settings.MinP);
        Assert.Equal(options.RepetitionPenalty ?? 1, settings.RepetitionPenalty);
        Assert.Equal(options.PresencePenalty ?? 0, settings.PresencePenalty);
        Assert.Equal(options.FrequencyPenalty ?? 0, settings.FrequencyPenalty);
        Assert.Equal(options.LogitBias ?? new Dictionary<int, float>(), settings.LogitBias);
        Assert.Equal(options.Seed ?? settings.Seed, settings.Seed);
    }

    [Theory]
    [MemberData(nameof(BadNames))]
    public void Resolve_OfAValueOutOfItsRange_NamesPropertyAndValue(string name)
    {
        (GenerationOptions options, string property, string found) = Bad[name];
        var error = Assert.Throws<ArgumentOutOfRangeException>(() => OptionsResolver.Resolve(options, VocabSize));
        Assert.Equal(property, error.ParamName);
        Assert.Contains(property, error.Message, StringComparison.Ordinal);
        Assert.Contains(found, error.Message, StringComparison.Ordinal);
        // Where the options come from a file, this becomes the message of another exception, which is a single line.
        Assert.DoesNotContain('\n', error.Message);
    }

    [Fact]
    public void Resolve_WithoutASeed_DrawsANewOneEachTime() =>
        Assert.Equal(20, Enumerable.Range(0, 20).Select(_ => OptionsResolver.Resolve(new GenerationOptions(), VocabSize).Seed).Distinct().Count());

    [Fact]
    public void Resolve_TakesACopyOfTheBias()
    {
        Dictionary<int, float> bias = new() { [1] = 2 };
        SamplingSettings settings = OptionsResolver.Resolve(new GenerationOptions { LogitBias = bias }, VocabSize);
        bias[1] = float.NaN;
        bias[1000] = 1;
        Assert.Equal([KeyValuePair.Create(1, 2f)], settings.LogitBias);
    }

    [Fact]
    public void Merge_TakesTheDefaultOfEveryPropertyThatIsNull()
    {
        GenerationOptions defaults = Good["most"] with { LogitBias = Bias(1, 1), StopStrings = ["x"], StopTokens = [4], IgnoreEndOfSequence = true };
        Assert.Same(defaults, OptionsResolver.Merge(null, defaults));
        // Whether end tokens count is the caller's alone.
        Assert.Equal(defaults with { IgnoreEndOfSequence = false }, OptionsResolver.Merge(new GenerationOptions(), defaults));
    }

    [Fact]
    public void Merge_KeepsEveryPropertyThatIsNotNull()
    {
        GenerationOptions mine = Good["least"] with { LogitBias = Bias(1, 1), StopStrings = [], StopTokens = [], IgnoreEndOfSequence = true };
        Assert.Equal(mine, OptionsResolver.Merge(mine, Good["most"] with { StopStrings = ["x"], StopTokens = [4], LogitBias = Bias(2, 2) }));
    }

    [Fact]
    public void CheckToken_OfAnIdOutsideTheVocabulary_NamesIdAndVocabulary()
    {
        OptionsResolver.CheckToken(0, VocabSize, "token");
        OptionsResolver.CheckToken(99, VocabSize, "token");
        var error = Assert.Throws<ArgumentOutOfRangeException>(() => OptionsResolver.CheckToken(100, VocabSize, "token"));
        Assert.Contains("Token id 100 is not in the vocabulary of 100 (0 to 99).", error.Message, StringComparison.Ordinal);
    }

    private static Dictionary<int, float> Bias(int token, float bias) => new() { [token] = bias };
}
