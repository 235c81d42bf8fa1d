namespace Phoenix.Service.Cost;

/// <content>Log messages 1700 to 1799.</content>
internal sealed partial class PriceFileWatcher
{
    private static partial class Log
    {
        [LoggerMessage(1700, LogLevel.Information, "Prices of {Count} models read from {File}")]
        public static partial void Loaded(ILogger logger, string file, int count);

        [LoggerMessage(1701, LogLevel.Error,
            "The price file {File} cannot be read; the prices known before stay. Correct the file, it is read again when it changes")]
        public static partial void Unreadable(ILogger logger, string file, Exception exception);
    }
}
