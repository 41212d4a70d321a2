using Microsoft.Extensions.AI;
using Vicuna.Managed.Chat;

namespace Vicuna.Managed.Extensions.AI.Translation;

/// <summary>Reads which tools a request offers.</summary>
internal static class ToolReader
{
    /// <summary>Whether a request offers tools, or requires the call of one.</summary>
    public static bool AreAsked(ChatOptions? options) =>
        options?.ToolMode is RequiredChatToolMode || (options is { Tools.Count: > 0 } && options.ToolMode is not NoneChatToolMode);

    /// <summary>Describes the tools.</summary>
    /// <param name="options">Options of a request of which <see cref="AreAsked"/> is true.</param>
    /// <exception cref="ArgumentException">There are no tools or too many, one has no valid name or schema, or the required one is none of them.</exception>
    /// <exception cref="NotSupportedException">A tool is not a function, or the request wants an answer in JSON too.</exception>
    public static PromptTools Read(ChatOptions options)
    {
        if (options.ResponseFormat is not (null or ChatResponseFormatText))
        {
            throw new NotSupportedException("ResponseFormat: expected text, found another; with tools in the prompt the answer has a form of its own.");
        }

        RequiredChatToolMode? required = options.ToolMode as RequiredChatToolMode;
        return new PromptTools([.. (options.Tools ?? []).Select(Describe)], required is not null, required?.RequiredFunctionName);
    }

    private static PromptTool Describe(AITool tool, int index) => tool is AIFunctionDeclaration function
        ? new PromptTool(function.Name, function.Description, StrictSchemas.Of(function))
        : throw new NotSupportedException($"Tools[{index}]: expected a function, found {tool?.GetType().Name ?? "null"}, which only its provider can run.");
}
