namespace Vicuna.Managed.AspNetCore;

/// <summary>How far a server's life has come.</summary>
public enum ServerState
{
    /// <summary>The model is being loaded; requests are answered with 503.</summary>
    Loading,

    /// <summary>Requests are taken.</summary>
    Ready,

    /// <summary>The model could not be loaded; requests are answered with 503.</summary>
    Failed,

    /// <summary>The application is ending: what was accepted goes on, new requests are answered with 503.</summary>
    Draining,
}
