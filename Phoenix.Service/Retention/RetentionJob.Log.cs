namespace Phoenix.Service.Retention;

internal sealed partial class RetentionJob
{
    private static partial class Log
    {
        [LoggerMessage(1510, LogLevel.Information, "Retention dropped the partition {Table}: all it held has expired.")]
        public static partial void Dropped(ILogger logger, string table);

        [LoggerMessage(1511, LogLevel.Information, "Retention removed {Rows} expired rows of project {Project} from {Table}.")]
        public static partial void Removed(ILogger logger, long rows, string project, string table);

        [LoggerMessage(1512, LogLevel.Information, "Retention (dry run) would drop the partition {Table}: all it holds has expired.")]
        public static partial void WouldDrop(ILogger logger, string table);

        [LoggerMessage(1513, LogLevel.Information, "Retention (dry run) would remove what has expired of project {Project} from {Table}.")]
        public static partial void WouldRemove(ILogger logger, string project, string table);

        [LoggerMessage(1514, LogLevel.Warning, "Retention leaves the partition {Table} for the next run: it is being read.")]
        public static partial void Busy(ILogger logger, string table);

        [LoggerMessage(1515, LogLevel.Warning,
            "Retention failed and runs again later: {Reason}. Nothing but expired telemetry was removed.")]
        public static partial void Failed(ILogger logger, string reason);
    }
}
