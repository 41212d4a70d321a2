using System.Diagnostics.CodeAnalysis;

namespace Vicuna.Managed.Chat;

/// <summary>The prompt forms that the library knows. A model of another form needs an <see cref="IPromptFormatter"/> of its own.</summary>
public static class PromptTemplates
{
    private static readonly Dictionary<string, IPromptFormatter> ByName = new(StringComparer.OrdinalIgnoreCase)
    {
        ["vicuna"] = new VicunaFormatter(),
        ["alpaca"] = new AlpacaFormatter(),
        ["llama2"] = new Llama2Formatter(),
        ["chatml"] = new ChatMlFormatter(),
        ["raw"] = new RawFormatter(),
    };

    /// <summary>
    /// Vicuna v1.1, v1.3 and v1.5, as FastChat renders them: <c>{system} USER: {question} ASSISTANT: {answer}&lt;/s&gt;USER: {question} ASSISTANT:</c>.
    /// Without a system message FastChat's own is used; a system message replaces it. As in FastChat an empty message is its role and a colon alone, with no
    /// separator after it.
    /// </summary>
    public static IPromptFormatter Vicuna => ByName["vicuna"];

    /// <summary>
    /// Stanford Alpaca's form for an instruction without input: <c>### Instruction:</c> and <c>### Response:</c> under an introduction, which a
    /// system message replaces. Earlier turns, which Alpaca itself does not know, come first and each ends with EOS.
    /// </summary>
    public static IPromptFormatter Alpaca => ByName["alpaca"];

    /// <summary>Llama 2 chat, as in Meta's <c>generation.py</c>: <c>[INST] &lt;&lt;SYS&gt;&gt;</c>, BOS and EOS around every turn, messages trimmed.</summary>
    public static IPromptFormatter Llama2 => ByName["llama2"];

    /// <summary>ChatML: <c>&lt;|im_start|&gt;</c>, role and message, <c>&lt;|im_end|&gt;</c>; no system message unless one is given.</summary>
    public static IPromptFormatter ChatMl => ByName["chatml"];

    /// <summary>The messages' texts one after another, with nothing between them: for completion, and for prompts that are ready made.</summary>
    public static IPromptFormatter Raw => ByName["raw"];

    /// <summary>Names that <see cref="TryGet"/> knows: <c>vicuna</c>, <c>alpaca</c>, <c>llama2</c>, <c>chatml</c>, <c>raw</c>.</summary>
    public static IReadOnlyCollection<string> Names => ByName.Keys;

    /// <summary>Finds a template by its name.</summary>
    /// <param name="name">One of <see cref="Names"/>, in any case.</param>
    /// <param name="formatter">The template.</param>
    /// <returns>Whether there is one of this name.</returns>
    public static bool TryGet(string name, [NotNullWhen(true)] out IPromptFormatter? formatter) => ByName.TryGetValue(name, out formatter);
}
