namespace Phoenix.Service.Storage.Postgres.Indexes;

internal sealed partial class IndexBuilder
{
    private static partial class Log
    {
        [LoggerMessage(240, LogLevel.Information, "Building {Count} indexes while writes go on.")]
        public static partial void Begins(ILogger logger, int count);

        [LoggerMessage(241, LogLevel.Information, "Built index {Done} of {Count}: {Index} in {Seconds:0.0} s.")]
        public static partial void Built(ILogger logger, int done, int count, string index, double seconds);

        [LoggerMessage(242, LogLevel.Warning, "Index {Index} could not be made or removed ({Reason}); it is tried again within a minute.")]
        public static partial void IndexFailed(ILogger logger, string index, string reason);

        [LoggerMessage(243, LogLevel.Information, "Dropped index {Index}.")]
        public static partial void Dropped(ILogger logger, string index);

        [LoggerMessage(244, LogLevel.Warning, "Looking after the indexes failed and is tried again within a minute: {Reason}")]
        public static partial void Failed(ILogger logger, string reason);
    }
}
