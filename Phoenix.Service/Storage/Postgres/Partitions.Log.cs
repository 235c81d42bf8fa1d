namespace Phoenix.Service.Storage.Postgres;

internal sealed partial class Partitions
{
    private static partial class Log
    {
        [LoggerMessage(210, LogLevel.Information, "Made partition {Leaf}.")]
        public static partial void Made(ILogger logger, string leaf);

        [LoggerMessage(211, LogLevel.Warning,
            "A new partition of {Parent} waits for a long query, or has many rows to take over; they move later from the default one.")]
        public static partial void Postponed(ILogger logger, string parent);
    }
}
