using Vicuna.Managed;

namespace DesktopSample.ViewModels;

/// <summary>Errors in words for the user. Nothing that goes wrong with a model, a disk or a setting ends the application.</summary>
internal static class ErrorText
{
    /// <summary>Says what went wrong.</summary>
    public static string Of(Exception error) => error switch
    {
        ContextLengthExceededException full =>
            $"The conversation is too long for the model: {full.Tokens:N0} tokens of {full.ContextLength:N0}. Begin a new one, or ask for less.",
        EngineOverloadedException => "The model is busy with other answers: try again when one has ended.",
        FileNotFoundException or DirectoryNotFoundException => $"Not found: {error.Message}",
        OutOfMemoryException => "There is not enough memory for this. A smaller model, or four-bit weights, may fit.",
        ObjectDisposedException => "The model was unloaded.",
        _ => error.Message,
    };
}
