namespace Phoenix.Service.Storage;

internal sealed partial class SpanBatchWriter
{
    private static partial class Log
    {
        [LoggerMessage(230, LogLevel.Warning,
            "A write failed and is tried again (attempt {Attempt}); requests wait or are answered 503: {Reason}")]
        public static partial void WillRetry(ILogger logger, int attempt, string reason, Exception? exception);

        [LoggerMessage(231, LogLevel.Error,
            "PostgreSQL cannot store: {Reason}. Requests are answered 503 until space is freed or the server is writable; nothing acknowledged is lost.")]
        public static partial void StorageFull(ILogger logger, string reason);

        [LoggerMessage(232, LogLevel.Warning, "{Count} records were rejected alone, their neighbours are stored: {Reason}")]
        public static partial void Rejected(ILogger logger, int count, string reason);
    }
}
