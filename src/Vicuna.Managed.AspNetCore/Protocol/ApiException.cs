namespace Vicuna.Managed.AspNetCore.Protocol;

/// <summary>Ends a request with an error.</summary>
/// <param name="error">The error.</param>
internal sealed class ApiException(ApiError error) : Exception(error.Message)
{
    /// <summary>The error.</summary>
    public ApiError Error { get; } = error;
}
