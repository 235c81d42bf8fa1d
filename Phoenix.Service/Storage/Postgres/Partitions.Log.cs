namespace Phoenix.Service.Storage.Postgres;

internal sealed partial class Partitions
{
    private static partial class Log
    {
        [LoggerMessage(210, LogLevel.Information, "Made partition {Leaf}.")]
        public static partial void Made(ILogger logger, string leaf);

        [LoggerMessage(211, LogLevel.Warning,
            "A new partition of {Parent} waits for a long query; its rows go to the default partition and move later.")]
        public static partial void Busy(ILogger logger, string parent);
    }
}
