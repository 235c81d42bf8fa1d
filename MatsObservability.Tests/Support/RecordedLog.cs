using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace MatsObservability.Tests.Support;

/// <summary>Keeps what a <typeparamref name="T"/> logs: given to it, or added as a provider to the logging of a whole program.</summary>
internal sealed class RecordedLog<T> : ILogger<T>, ILoggerProvider
{
    private readonly ConcurrentQueue<(LogLevel Level, string Text)> _lines = new();

    /// <summary>All lines, in order.</summary>
    public string[] Lines => [.. _lines.Select(static line => line.Text)];

    /// <summary>How many of them are errors.</summary>
    public int Errors => _lines.Count(static line => line.Level == LogLevel.Error);

    public ILogger CreateLogger(string categoryName) => categoryName == typeof(T).FullName ? this : NullLogger.Instance;

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception,
        Func<TState, Exception?, string> formatter) =>
        _lines.Enqueue((logLevel, formatter(state, exception)));

    public void Dispose()
    {
    }
}
