using Microsoft.Extensions.AI;
using Vicuna.Managed;
using Vicuna.Managed.Extensions.AI;

// The packages as a program that is compiled ahead of time has them. The path of the model is its argument.
using LanguageModel model = LanguageModel.Load(args[0]);
await using InferenceEngine engine = new(model);
using VicunaChatClient client = new(engine);
ChatResponse answer = await client.GetResponseAsync("What is 3 plus 4?", new ChatOptions { Temperature = 0 });
Console.WriteLine($"{answer.Text} ({model.InstructionSet}, {answer.Usage?.OutputTokenCount} tokens)");
ChatResponse formed = await client.GetResponseAsync(
    "What is 3 plus 4?", new ChatOptions { Temperature = 0, RawRepresentationFactory = _ => new GenerationOptions { Constraint = OutputConstraint.Choice(["seven", "eight"]) } });
Console.WriteLine(formed.Text);
return answer.Text == "Three plus four is seven." && formed.Text is "seven" or "eight" ? 0 : 1;
