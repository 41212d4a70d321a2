using Vicuna.Managed.Compression;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.Compression;

public sealed class ModelReportTests
{
    private static readonly ModelReportRow Parent = new()
    {
        Name = "vicuna-7b", Parameters = 6_738_415_616, Blocks = 32,
        Perplexities = [new("wikitext2", 17.125), new("ptb", 63.18)],
        Accuracies = [new("boolq acc", 0.75), new("hellaswag acc_norm", 0.5)],
        TokensPerSecond = 10,
    };

    private static readonly ModelReportRow Shortened = new()
    {
        Name = "a|b, \"c\"\nd", Parameters = 5_524_115_456, Blocks = 26,
        Perplexities = [new("ptb", 72.29)],
        Accuracies = [new("hellaswag acc_norm", 1 / 3.0)],
    };

    [Fact]
    public void Markdown_HasARowPerModel()
    {
        string[] lines = new ModelReport([Parent, Shortened]).ToMarkdown().Split('\n');
        Assert.Equal(
            [
                "| model | parameters | blocks | wikitext2 ppl | ptb ppl | boolq acc % | hellaswag acc_norm % | mean % | tokens/s |",
                "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
                "| vicuna-7b | 6,738,415,616 | 32 | 17.13 | 63.18 | 75.00 | 50.00 | 62.50 | 10.0 |",
                "| a\\|b, \"c\" d | 5,524,115,456 | 26 | – | 72.29 | – | 33.33 | – | – |",
                string.Empty,
            ],
            lines);
    }

    [Fact]
    public void Csv_HasEveryDigitAndQuotesWhatNeedsIt()
    {
        string csv = new ModelReport([Parent, Shortened]).ToCsv();
        Assert.Equal(
            "model,parameters,blocks,wikitext2 ppl,ptb ppl,boolq acc %,hellaswag acc_norm %,mean %,tokens/s\n"
            + "vicuna-7b,6738415616,32,17.125,63.18,75,50,62.5,10\n"
            + $"\"a|b, \"\"c\"\"\nd\",5524115456,26,,72.29,,{100 / 3.0:R},,\n",
            csv.Replace((100 * (1 / 3.0)).ToString("R"), (100 / 3.0).ToString("R"), StringComparison.Ordinal));
    }

    [Fact]
    public void Columns_ThatNobodyHas_AreLeftOut()
    {
        ModelReport report = new([Parent with { Perplexities = [], Accuracies = [], TokensPerSecond = null }]);
        Assert.Equal("model,parameters,blocks\nvicuna-7b,6738415616,32\n", report.ToCsv());
        Assert.Null(report.MeanAccuracy(report.Rows[0]));
    }

    [Fact]
    public void Write_ReplacesBothFilesAndLeavesNothingElse()
    {
        using TempFolder folder = new();
        string path = folder.Write("report.md", "old");
        Assert.Equal(folder.File("report.csv"), new ModelReport([Parent]).Write(path));
        Assert.Equal(["report.csv", "report.md"], Directory.GetFiles(folder.Path).Select(Path.GetFileName).Order());
        Assert.StartsWith("| model |", File.ReadAllText(path), StringComparison.Ordinal);
        Assert.StartsWith("model,", File.ReadAllText(folder.File("report.csv")), StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => new ModelReport([Parent]).Write(folder.File("x.csv")));
        Assert.ThrowsAny<IOException>(() => new ModelReport([Parent]).Write(folder.File("missing/report.md")));
        Assert.Equal(2, Directory.GetFileSystemEntries(folder.Path).Length);
    }

    [Fact]
    public void Rows_OfNothingOrWithNamesTwice_AreRefused()
    {
        Assert.Throws<ArgumentException>(() => new ModelReport([]));
        Assert.Contains("found 'ptb' twice", Assert.Throws<ArgumentException>(() => new ModelReport([Shortened with { Perplexities = [new("ptb", 1), new("ptb", 2)] }])).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Row_OfAModel_ReportsWhatThePaperDoes()
    {
        using LanguageModel model = new TinyModel(new TinyShape { Vocab = 1024, HasTokenizer = true }).Load();
        ZeroShotItem item = new([new("a", " b", 1), new("a", " c d e f g", 1_000_000)], 1);
        ZeroShotResult[] results = [.. new[] { ZeroShotTaskKind.Piqa, ZeroShotTaskKind.ArcChallenge }.Select(kind => ZeroShotEvaluation.Run(model, new ZeroShotTask(kind.ToString(), kind, [item])))];
        ModelReportRow row = ModelReportRow.Of("tiny", model, [], results);
        Assert.Equal([new("Piqa acc", 0), new ModelReportValue("ArcChallenge acc_norm", 1)], row.Accuracies);
        Assert.Equal((model.Config.ParameterCount, 2), (row.Parameters, row.Blocks));
        Assert.Equal(0.5, new ModelReport([row]).MeanAccuracy(row));
    }
}
