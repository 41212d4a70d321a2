using System.Text;
using Vicuna.Managed.Compression;
using Vicuna.Managed.Compression.Scores;

namespace Vicuna.Managed.Tests.Fuzz;

/// <summary>Reads files of block scores; what is accepted must survive being written and read again.</summary>
internal static class BlockScoresTarget
{
    public static string Name => "block-scores";

    public static IReadOnlyList<byte[]> Seeds() =>
    [
        .. new[]
        {
            "block_name,block_score\nmodel.layers.0,62.58297348022461\nmodel.layers.1,1e2\nmodel.layers.2,-3\nmodel.norm.weight,2.7\nlm_head.weight,50.7\n",
            "removed_block,ppl_bookcorpus,num_calib_data,params\n1.0,27.1,10.0,6536032256.0\n0.0,inf,10.0,6536032256.0\n2,4463.618922827079,,\n",
            "3,1,0,2\n",
            "block_name,block_score\r\nmodel.layers.0,1\r\nmodel.layers.0,1\r\n",
            "removed_block,score\n0,1\n",
            "",
        }.Select(Encoding.UTF8.GetBytes),
    ];

    public static void Run(byte[] input)
    {
        ScoreTable table = ScoreFileReader.Read(input, "fuzz.csv");
        BlockScores scores = new(null, table.Blocks, table.Weights);
        Assert.Equal(table.Blocks.Count, scores.Order.Distinct().Count());
        ScoreTable again = ScoreFileReader.Read(Encoding.UTF8.GetBytes(ScoreFileWriter.Blocks(table, scores.Order)), "again.csv");
        Assert.Equal(table.Blocks, again.Blocks);
        Assert.Equal((table.Samples, table.ParametersWithoutOne), (again.Samples, again.ParametersWithoutOne));
        ScoreTable order = ScoreFileReader.Read(Encoding.UTF8.GetBytes(ScoreFileWriter.Order(scores.Order)), "order.csv");
        Assert.Equal(scores.Order, new BlockScores(null, order.Blocks).Order);
    }
}
