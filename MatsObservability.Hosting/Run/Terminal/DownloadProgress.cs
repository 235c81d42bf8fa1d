using MatsObservability.Hosting.Run.Postgres;

namespace MatsObservability.Hosting.Run.Terminal;

/// <summary>Keeps how far the download of the database programs is, for whoever shows it.</summary>
internal sealed class DownloadProgress : IProgress<PostgresDownload>
{
    private long _bytes;
    private long _expected;

    /// <summary>Null while nothing is downloaded.</summary>
    public PostgresDownload? Current => Interlocked.Read(ref _expected) is > 0 and var expected && Interlocked.Read(ref _bytes) is var bytes
        && bytes < expected
        ? new PostgresDownload(bytes, expected)
        : null;

    public void Report(PostgresDownload value)
    {
        Interlocked.Exchange(ref _bytes, value.Bytes);
        Interlocked.Exchange(ref _expected, value.ExpectedBytes);
    }
}
