using System.Text;
using Vicuna.Managed.Compression;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.Compression;

public sealed class BlockScoresTests : IDisposable
{
    private readonly TempFolder _temp = new();

    public void Dispose() => _temp.Dispose();

    [Theory]
    [InlineData("taylor_block_score_all", ScoreCriterion.Taylor, 2)]
    [InlineData("taylor_block_order", ScoreCriterion.Taylor, 0)]
    [InlineData("magnitude_block_score_all", ScoreCriterion.Magnitude, 2)]
    [InlineData("magnitude_block_order", ScoreCriterion.Magnitude, 0)]
    [InlineData("ppl_sorted", ScoreCriterion.Perplexity, 0)]
    [InlineData("ppl_block_order", ScoreCriterion.Perplexity, 0)]
    public void Read_OfNotasFiles_GivesTheirOrderAndCriterion(string name, ScoreCriterion criterion, int weights)
    {
        BlockScores scores = BlockScores.Read(Nota(name));
        string kind = name[..name.IndexOf('_', StringComparison.Ordinal)];
        int[] order = [.. File.ReadAllText(Nota($"{kind}_block_order")).Split(',').Select(int.Parse)];
        Assert.Equal(order, scores.Order);
        Assert.Equal(criterion, scores.Criterion);
        Assert.Equal(32, scores.Blocks.Count);
        Assert.Equal(weights, scores.Weights.Count);
    }

    [Fact]
    public void Read_OfNotasFiles_GivesTheirNumbers()
    {
        BlockScores taylor = BlockScores.Read(Nota("taylor_block_score_all"));
        Assert.Equal((62.58297348022461, 127.08746337890625), (taylor.Blocks[0], taylor.Blocks[31]));
        Assert.Equal([new("model.norm.weight", 2.7372055053710938), new("lm_head.weight", 50.75984191894531)], taylor.Weights);
        BlockScores perplexity = BlockScores.Read(Nota("ppl_sorted"));
        Assert.Equal((12122.398023064261, 27.14574784596572), (perplexity.Blocks[0], perplexity.Blocks[25]));
        Assert.Equal((10, 6_536_032_256), (perplexity.Samples, perplexity.ParametersWithoutOne));
    }

    [Fact]
    public void Order_OfEqualScores_IsThatOfTheBlocks()
    {
        Assert.Equal([1, 3, 0, 2, 4], new BlockScores(ScoreCriterion.Taylor, [2, 1, 2, 1, 3]).Order);
        Assert.Equal([1, 2, 0], new BlockScores(ScoreCriterion.Perplexity, [double.PositiveInfinity, 5, 6]).Order);
    }

    [Theory]
    [InlineData(ScoreCriterion.Taylor)]
    [InlineData(ScoreCriterion.Magnitude)]
    [InlineData(ScoreCriterion.BlockInfluence)]
    public void Write_OfScoresWithWeights_IsReadBackBitForBit(ScoreCriterion criterion)
    {
        KeyValuePair<string, double>[] weights =
        [
            new("model.layers.0.self_attn.q_proj.weight", 1.0 / 3), new("model.norm.weight", 1e-310), new("lm_head.weight", 12345678.9),
        ];
        BlockScores scores = new(criterion, [0.1, 1.0 / 3, double.MaxValue, 5e-324], weights);
        string path = _temp.File($"{(criterion == ScoreCriterion.BlockInfluence ? "influence" : criterion.ToString())}.csv");
        scores.Write(path);
        BlockScores read = BlockScores.Read(path);
        Assert.Equal(scores.Blocks, read.Blocks);
        Assert.Equal(criterion, read.Criterion);
        Assert.Equal(weights[1..], read.Weights);
        Assert.Equal("block_name,block_score\nmodel.layers.0,0.1\n", File.ReadAllText(path)[..42]);
        string stem = path[..^4];
        Assert.Equal("3,0,1,2\n", File.ReadAllText(stem + "_order.csv"));
        string weightLines = File.ReadAllText(stem + "_weights.csv");
        Assert.StartsWith("weight_name,weight_score\nmodel.layers.0.self_attn.q_proj.weight,0.3333333333333333\nmodel.norm.weight,", weightLines, StringComparison.Ordinal);
        Assert.Equal(scores.Order, BlockScores.Read(stem + "_order.csv").Order);
        Assert.Equal(3, Directory.GetFiles(_temp.Path).Length);
    }

    [Fact]
    public void Write_OfPerplexities_IsSortedAndReadBack()
    {
        BlockScores scores = new(ScoreCriterion.Perplexity, [double.PositiveInfinity, 1.1, 0.1 + 0.2]) { Samples = 10, ParametersWithoutOne = 6_536_032_256 };
        string path = _temp.File("any.csv");
        scores.Write(path);
        Assert.Equal(
            "removed_block,ppl,num_calib_data,params\n2,0.30000000000000004,10,6536032256\n1,1.1,10,6536032256\n0,inf,10,6536032256\n", File.ReadAllText(path));
        BlockScores read = BlockScores.Read(path);
        Assert.Equal(scores.Blocks, read.Blocks);
        Assert.Equal((10, 6_536_032_256), (read.Samples, read.ParametersWithoutOne));
        Assert.False(File.Exists(_temp.File("any_weights.csv")));

        // What is not known is an empty field, and a second run replaces the first.
        new BlockScores(ScoreCriterion.Perplexity, [2, 1]).Write(path);
        Assert.Equal("removed_block,ppl,num_calib_data,params\n1,1,,\n0,2,,\n", File.ReadAllText(path));
        Assert.Null(BlockScores.Read(path).Samples);
    }

    [Theory]
    [InlineData("removed_block,ppl\r\n1.0,2.5\r\n\r\n0.0, 3 \r\n", 3, 2.5)]
    [InlineData("\uFEFFremoved_block,params,ppl_wikitext2\n0,5,1e1\n1,5,+2", 10, 2)]
    [InlineData("block_name,block_score\nmodel.layers.1,2\nmodel.layers.0,1", 1, 2)]
    [InlineData("1,0", 1, 0)]
    public void Read_OfWhatOthersWrite_IsRead(string text, double first, double second) =>
        Assert.Equal([first, second], BlockScores.Read(_temp.Write("scores.csv", text)).Blocks);

    [Theory]
    [InlineData("", "found no text")]
    [InlineData(" \n\n", "found no text")]
    [InlineData("hello", "'line 1': expected a header")]
    [InlineData("block_name,block_score", "at least one block, found none")]
    [InlineData("block_name,block_score\nmodel.layers.0", "'line 2': expected 2 fields, found 1")]
    [InlineData("block_name,block_score\nmodel.layers.0,x", "'line 2': expected a number, found 'x'")]
    [InlineData("block_name,block_score\nmodel.layers.0,NaN", "'line 2': expected a number, found 'NaN'")]
    [InlineData("block_name,block_score\nmodel.layers.0,1\nmodel.layers.0,1", "'line 3': expected every name once")]
    [InlineData("block_name,block_score\nmodel.layers.0,1\nmodel.layers.00,1", "'line 3': expected every block once, found 0 again")]
    [InlineData("block_name,block_score\nmodel.layers.1,1", "expected blocks 0 to 1, found no block 0")]
    [InlineData("block_name,block_score\nmodel.layers.99999,1", "from 0 to 16383, found '99999'")]
    [InlineData("block_name,block_score\n\"a\",1", "'line 2': expected a name and a finite score")]
    [InlineData("removed_block,score\n0,1", "a column that begins with ppl")]
    [InlineData("removed_block,ppl\n0.5,1", "found '0.5'")]
    [InlineData("removed_block,ppl\n-1,1", "found '-1'")]
    [InlineData("removed_block,ppl,params\n0,1,-5", "found '-5'")]
    [InlineData("0,0", "'line 1': expected every block once, found 0 again")]
    [InlineData("0,2", "found no block 1")]
    [InlineData("0,1\n2", "'line 2': expected one line of block numbers, found 2")]
    [InlineData("0,,1", "found ''")]
    public void Read_OfDamagedText_NamesFileLineAndWhatWasExpected(string text, string problem)
    {
        string message = Assert.Throws<ModelFormatException>(() => BlockScores.Read(_temp.Write("scores.csv", text))).Message;
        Assert.StartsWith("scores.csv: ", message, StringComparison.Ordinal);
        Assert.Contains(problem, message, StringComparison.Ordinal);
    }

    [Fact]
    public void Read_OfHostileFiles_IsBounded()
    {
        Assert.Throws<ModelFormatException>(() => BlockScores.Read(_temp.Write("bytes.csv", [0xff, 0xfe, 0x30])));
        Assert.Contains("at most 16777216 bytes", Refusal(new byte[(16 << 20) + 1]), StringComparison.Ordinal);
        Assert.Contains("at most 262144 lines", Refusal(Encoding.UTF8.GetBytes(new string('\n', 1 << 20))), StringComparison.Ordinal);
        Assert.Contains("from 0 to 16383", Refusal(Encoding.UTF8.GetBytes(string.Join(',', Enumerable.Range(0, 20_000)))), StringComparison.Ordinal);
        Assert.ThrowsAny<IOException>(() => BlockScores.Read(_temp.File("none.csv")));

        string Refusal(byte[] bytes) => Assert.Throws<ModelFormatException>(() => BlockScores.Read(_temp.Write("big.csv", bytes))).Message;
    }

    [Fact]
    public void Constructor_OfWhatAreNoScores_IsRefused()
    {
        Assert.Throws<ArgumentException>(() => new BlockScores(null, []));
        Assert.Throws<ArgumentException>(() => new BlockScores(null, [double.NaN]));
        Assert.Throws<ArgumentException>(() => new BlockScores(null, Enumerable.Repeat(1.0, (1 << 14) + 1)));
        Assert.Throws<ArgumentException>(() => new BlockScores(null, [1], [new("a,b", 1)]));
        Assert.Throws<ArgumentException>(() => new BlockScores(null, [1], [new("a", double.PositiveInfinity)]));
        Assert.Throws<ArgumentOutOfRangeException>(() => new BlockScores((ScoreCriterion)9, [1]));
    }

    [Fact]
    public void Write_ToAFolderThatIsNotThere_FailsAndLeavesNothing()
    {
        Assert.ThrowsAny<IOException>(() => new BlockScores(null, [1]).Write(_temp.File("none/scores.csv")));
        Assert.Empty(Directory.GetFileSystemEntries(_temp.Path));
    }

    private static string Nota(string name) => SharedFolder.Require($"goldens/nota/vicuna-7b-v1.3_{name}.csv");
}
