namespace MatsObservability.Hosting.Run.Postgres;

/// <summary>Passes the server's lines on and remembers why it failed.</summary>
internal sealed class PostgresLog(Action<string>? sink)
{
    private readonly Lock _gate = new();
    private string? _reason;
    private string? _last;
    private bool _portIsTaken;

    /// <summary>
    /// The server's own words for its end: its first FATAL or PANIC line, else its last line. Null when it wrote nothing.
    /// </summary>
    public string? Reason
    {
        get
        {
            lock (_gate)
            {
                return _reason ?? _last;
            }
        }
    }

    /// <summary>True when another program took the port first.</summary>
    public bool SaysPortIsTaken
    {
        get
        {
            lock (_gate)
            {
                return _portIsTaken;
            }
        }
    }

    public void Clear()
    {
        lock (_gate)
        {
            _reason = _last = null;
            _portIsTaken = false;
        }
    }

    public void Write(string line, bool isError)
    {
        lock (_gate)
        {
            _last = line;
            _portIsTaken |= line.Contains("could not bind", StringComparison.Ordinal);
            if (_reason is null && (Message(line, "FATAL:") ?? Message(line, "PANIC:")) is { } message
                && !message.StartsWith("the database system is", StringComparison.Ordinal))
            {
                _reason = message;
            }
        }

        sink?.Invoke(line);
    }

    private static string? Message(string line, string severity)
    {
        var start = line.IndexOf(severity, StringComparison.Ordinal);
        return start < 0 ? null : line[(start + severity.Length)..].Trim();
    }
}
