using System.Text.Json;
using Vicuna.Managed.Chat;
using Vicuna.Managed.Tests.Support;
using Vicuna.Managed.Tests.Tokenization;
using Vicuna.Managed.Tokenization;

namespace Vicuna.Managed.Tests.Chat;

public sealed class PromptTemplatesTests
{
    private const string VicunaSystem =
        "A chat between a curious user and an artificial intelligence assistant. "
        + "The assistant gives helpful, detailed, and polite answers to the user's questions.";

    [Fact]
    public void Vicuna_OfTheTrainedModelsQuestions_GivesTheGoldenIds()
    {
        SentencePieceTokenizer tokenizer = SentencePieceTokenizer.Load(Path.Combine(PicoVicuna.GoldenFolder, "tokenizer.model"));
        using JsonDocument golden = PicoVicuna.Golden();
        JsonElement root = golden.RootElement;
        int count = 0;
        foreach (JsonElement one in root.GetProperty("cases").EnumerateArray())
        {
            Assert.Equal(Ints(one.GetProperty("ids")), Encode(tokenizer, User(one.GetProperty("user").GetString()!)));
            Assert.Equal(one.GetProperty("greedy_text").GetString(), AnswerText(tokenizer, Ints(one.GetProperty("greedy_ids"))));
            count++;
        }

        Assert.Equal(6, count);
        JsonElement two = root.GetProperty("two_turns");
        JsonElement turns = two.GetProperty("turns");
        ChatMessage[] messages = [User(turns[0][0].GetString()!), Assistant(turns[0][1].GetString()!), User(turns[1][0].GetString()!)];
        Assert.Equal(Ints(two.GetProperty("ids")), Encode(tokenizer, messages));
    }

    [Fact]
    public void Vicuna_OfFastChatsExample_IsItsPrompt()
    {
        Assert.Equal(
            $"<BOS>{VicunaSystem} USER: Hello! ASSISTANT: Hi!<EOS>USER: How are you? ASSISTANT:",
            Render(PromptTemplates.Vicuna, User("Hello!"), Assistant("Hi!"), User("How are you?")));
    }

    [Fact]
    public void Vicuna_OfFastChatsExample_GivesTheIdsOfHuggingFacesLegacyTokenizer()
    {
        SentencePieceTokenizer tokenizer = Vocabularies.Llama();
        IReadOnlyList<int> ids = PromptEncoder.Encode(tokenizer, PromptTemplates.Vicuna.Format([User("Hello!"), Assistant("Hi!"), User("How are you?")]));
        Assert.Equal(1, ids[0]);
        int[] expected =
        [
            3148, 1001, 29901, 15043, 29991, 319, 1799, 9047, 13566, 29901, 6324, 29991, 2,
            3148, 1001, 29901, 1128, 526, 366, 29973, 319, 1799, 9047, 13566, 29901,
        ];
        Assert.Equal(expected, ids.TakeLast(expected.Length));
    }

    [Fact]
    public void Vicuna_OfASystemMessage_ReplacesTheDefault() =>
        Assert.Equal("<BOS>Be brief. USER: Hi ASSISTANT:", Render(PromptTemplates.Vicuna, new ChatMessage(ChatRole.System, "Be brief."), User("Hi")));

    [Fact]
    public void Vicuna_OfEmptyMessages_WritesTheRoleAlone() =>
        Assert.Equal($"<BOS>{VicunaSystem} USER:ASSISTANT:USER: x ASSISTANT:", Render(PromptTemplates.Vicuna, User(""), Assistant(""), User("x")));

    [Fact]
    public void Alpaca_OfTwoTurns_IsStanfordsPrompt()
    {
        const string System = "Below is an instruction that describes a task. Write a response that appropriately completes the request.";
        Assert.Equal(
            $"<BOS>{System}\n\n### Instruction:\nA?\n\n### Response:B.<EOS>### Instruction:\nC?\n\n### Response:",
            Render(PromptTemplates.Alpaca, User("A?"), Assistant("B."), User("C?")));
        Assert.StartsWith("<BOS>S\n\n###", Render(PromptTemplates.Alpaca, new ChatMessage(ChatRole.System, "S"), User("A?")), StringComparison.Ordinal);
    }

    [Fact]
    public void Llama2_OfTwoTurns_IsMetasPrompt()
    {
        ChatMessage[] turns = [User(" A? "), Assistant("B. "), User("C?")];
        Assert.Equal("<BOS>[INST] A? [/INST] B. <EOS><BOS>[INST] C? [/INST]", Render(PromptTemplates.Llama2, turns));
        Assert.Equal(
            "<BOS>[INST] <<SYS>>\nS\n<</SYS>>\n\n A? [/INST] B. <EOS><BOS>[INST] C? [/INST]",
            Render(PromptTemplates.Llama2, [new ChatMessage(ChatRole.System, "S"), .. turns]));
    }

    [Fact]
    public void ChatMl_OfTwoTurns_PutsEveryMessageBetweenItsPieces()
    {
        Assert.Equal(
            "<BOS>[<|im_start|>]system\nS[<|im_end|>]\n[<|im_start|>]user\nA?[<|im_end|>]\n[<|im_start|>]assistant\nB.[<|im_end|>]\n"
            + "[<|im_start|>]user\nC?[<|im_end|>]\n[<|im_start|>]assistant\n",
            Render(PromptTemplates.ChatMl, new ChatMessage(ChatRole.System, "S"), User("A?"), Assistant("B."), User("C?")));
        Assert.Equal(["<|im_end|>"], PromptTemplates.ChatMl.StopPieces);
        Assert.Equal(["<|im_end|>"], PromptTemplates.ChatMl.StopStrings);
    }

    [Fact]
    public void Raw_OfMessages_JoinsTheirTexts()
    {
        Assert.Equal("<BOS>Once upon", Render(PromptTemplates.Raw, User("Once upon")));
        Assert.Equal("<BOS>abcd", Render(PromptTemplates.Raw, new ChatMessage(ChatRole.System, "a"), User("b"), Assistant("c"), User("d")));
    }

    [Fact]
    public void Format_OfRolesOutOfOrder_NamesTheMessage()
    {
        ChatMessage system = new(ChatRole.System, "s");
        (ChatMessage[] Messages, string Expected)[] cases =
        [
            ([], "Message 0: expected a last message of the role User"),
            ([system], "Message 1: expected a last message of the role User"),
            ([Assistant("a")], "Message 0: expected the role User, found Assistant"),
            ([User("u"), User("u")], "Message 1: expected the role Assistant, found User"),
            ([User("u"), Assistant("a")], "Message 2: expected a last message of the role User"),
            ([system, system, User("u")], "Message 1: expected the role User, found System"),
            ([User("u"), Assistant("a"), system, User("u")], "Message 2: expected the role User, found System"),
            ([User("u"), new ChatMessage((ChatRole)9, "x"), User("u")], "Message 1: expected the role Assistant, found 9"),
            ([User(null!)], "Message 0: expected a content, found null"),
            ([null!], "Message 0: expected a content, found null"),
        ];
        foreach (string name in PromptTemplates.Names)
        {
            Assert.True(PromptTemplates.TryGet(name, out IPromptFormatter? formatter));
            foreach ((ChatMessage[] messages, string expected) in cases)
            {
                Assert.StartsWith(expected, Assert.Throws<ArgumentException>(() => formatter.Format(messages)).Message, StringComparison.Ordinal);
            }
        }
    }

    [Fact]
    public void TryGet_OfNames_IgnoresCaseAndKnowsNoOthers()
    {
        Assert.True(PromptTemplates.TryGet("Vicuna", out IPromptFormatter? vicuna));
        Assert.Same(PromptTemplates.Vicuna, vicuna);
        Assert.True(PromptTemplates.TryGet("ChatML", out IPromptFormatter? chatMl));
        Assert.Same(PromptTemplates.ChatMl, chatMl);
        Assert.False(PromptTemplates.TryGet("gpt", out _));
        Assert.Equal(5, PromptTemplates.Names.Count);
    }

    private static string AnswerText(SentencePieceTokenizer tokenizer, int[] ids)
    {
        StreamingDecoder decoder = new(tokenizer, stripLeadingSpace: true);
        return string.Concat(ids.Select(id => decoder.Append(id).ToString())) + decoder.Flush().ToString();
    }

    private static IReadOnlyList<int> Encode(SentencePieceTokenizer tokenizer, params ChatMessage[] messages) =>
        PromptEncoder.Encode(tokenizer, PromptTemplates.Vicuna.Format(messages));

    private static string Render(IPromptFormatter formatter, params ChatMessage[] messages) =>
        string.Concat(formatter.Format(messages).Select(segment => segment.Kind switch
        {
            PromptSegmentKind.Text => segment.Value,
            PromptSegmentKind.Bos => "<BOS>",
            PromptSegmentKind.Eos => "<EOS>",
            _ => $"[{segment.Value}]",
        }));

    private static int[] Ints(JsonElement array) => [.. array.EnumerateArray().Select(id => id.GetInt32())];

    private static ChatMessage User(string text) => new(ChatRole.User, text);

    private static ChatMessage Assistant(string text) => new(ChatRole.Assistant, text);
}
