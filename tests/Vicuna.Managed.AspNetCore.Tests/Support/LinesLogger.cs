using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace Vicuna.Managed.AspNetCore.Tests.Support;

/// <summary>Keeps what is logged.</summary>
internal sealed class LinesLogger : ILoggerProvider, ILogger
{
    public ConcurrentQueue<string> Lines { get; } = [];

    public ILogger CreateLogger(string categoryName) => this;

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Information;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (IsEnabled(logLevel))
        {
            Lines.Enqueue($"{logLevel}: {formatter(state, exception)}{(exception is null ? string.Empty : $"\n{exception}")}");
        }
    }

    public void Dispose()
    {
    }
}
