using System.Globalization;

namespace Vicuna.Managed.Cli;

/// <summary>Prints an answer while it is generated.</summary>
internal static class AnswerWriter
{
    /// <summary>Prints all pieces; with JSON a line a piece and a last one marked done.</summary>
    /// <returns>The whole answer.</returns>
    public static async Task<GenerationResult> WriteAsync(IAsyncEnumerable<GenerationChunk> pieces, bool json)
    {
        GenerationResult? result = null;
        await foreach (GenerationChunk piece in pieces.ConfigureAwait(false))
        {
            result = piece.Result;
            if (!json)
            {
                Console.Write(piece.Text);
                continue;
            }

            if (piece.Text.Length > 0 || piece.TokenIds.Count > 0)
            {
                JsonOutput.Line(line =>
                {
                    line.WriteString("text", piece.Text);
                    line.WriteIds("ids", piece.TokenIds);
                    line.WriteLogProbabilities(piece.LogProbabilities);
                });
            }
        }

        if (json)
        {
            WriteDone(result!);
        }
        else
        {
            Console.WriteLine();
        }

        return result!;
    }

    /// <summary>Prints speed to standard error, for people.</summary>
    public static void WriteSpeed(GenerationResult result) => Console.Error.WriteLine(string.Create(
        CultureInfo.InvariantCulture,
        $"[{result.PromptTokens} prompt tokens in {result.PrefillTime.TotalSeconds:0.00} s; {result.TokenIds.Count} new tokens in {result.DecodeTime.TotalSeconds:0.00} s, {result.TokenIds.Count / Math.Max(1e-9, result.DecodeTime.TotalSeconds):0.0} per second]"));

    private static void WriteDone(GenerationResult result) => JsonOutput.Line(line =>
    {
        line.WriteBoolean("done", true);
        line.WriteString("text", result.Text);
        line.WriteIds("ids", result.TokenIds);
        line.WriteLogProbabilities(result.LogProbabilities);
        line.WriteString("finishReason", result.FinishReason is FinishReason.EndOfSequence or FinishReason.StopString ? "stop" : "length");
        line.WriteNumber("promptTokens", result.PromptTokens);
        line.WriteNumber("newTokens", result.TokenIds.Count);
        line.WriteNumber("prefillSeconds", result.PrefillTime.TotalSeconds);
        line.WriteNumber("decodeSeconds", result.DecodeTime.TotalSeconds);
    });
}
