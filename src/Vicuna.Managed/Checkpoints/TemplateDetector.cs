using Vicuna.Managed.Chat;

namespace Vicuna.Managed.Checkpoints;

/// <summary>Finds the known conversation template that a model's Jinja template amounts to.</summary>
internal static class TemplateDetector
{
    /// <summary>The template; Vicuna's where the model has none of its own (Vicuna itself ships none); null where its own is not known.</summary>
    /// <param name="jinja">The model's <c>chat_template</c>, or null.</param>
    public static IPromptFormatter? Detect(string? jinja) => jinja switch
    {
        null or "" => PromptTemplates.Vicuna,
        _ when jinja.Contains("<|im_start|>", StringComparison.Ordinal) => PromptTemplates.ChatMl,
        _ when jinja.Contains("[INST]", StringComparison.Ordinal) && jinja.Contains("<<SYS>>", StringComparison.Ordinal) => PromptTemplates.Llama2,
        _ when jinja.Contains("### Instruction:", StringComparison.Ordinal) => PromptTemplates.Alpaca,
        _ when jinja.Contains("USER:", StringComparison.Ordinal) && jinja.Contains("ASSISTANT:", StringComparison.Ordinal) => PromptTemplates.Vicuna,
        _ => null,
    };
}
