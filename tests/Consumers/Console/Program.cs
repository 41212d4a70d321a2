using Vicuna.Managed;
using Vicuna.Managed.Chat;
using Vicuna.Managed.Compression;

// The packages as a console application has them. The path of the model is its argument.
using LanguageModel model = LanguageModel.Load(args[0]);
ChatMessage[] conversation = [new(ChatRole.User, "What is 3 plus 4?")];
string answer = "";
await foreach (GenerationChunk piece in model.StreamAsync(conversation, new GenerationOptions { Temperature = 0 }))
{
    answer += piece.Text;
}

Console.WriteLine(answer);
int blocks = BlockScorer.Score(model, ScoreCriterion.Magnitude, []).Blocks.Count;
return answer == "Three plus four is seven." && blocks == 8 ? 0 : 1;
