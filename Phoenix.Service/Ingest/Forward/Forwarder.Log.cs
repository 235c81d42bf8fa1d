namespace Phoenix.Service.Ingest.Forward;

internal sealed partial class Forwarder
{
    private static partial class Log
    {
        [LoggerMessage(320, LogLevel.Information, "What is stored is forwarded to {Endpoint}.")]
        public static partial void Started(ILogger logger, string endpoint);

        [LoggerMessage(321, LogLevel.Warning,
            "Forwarding to {Endpoint} fails; it is tried again, and what comes in meanwhile waits: {Reason}")]
        public static partial void Failing(ILogger logger, string endpoint, string reason);

        [LoggerMessage(322, LogLevel.Information, "Forwarding to {Endpoint} works again.")]
        public static partial void Works(ILogger logger, string endpoint);

        [LoggerMessage(323, LogLevel.Error, "{Count} records were not forwarded; they are stored here. The last ones because {Reason}")]
        public static partial void Dropped(ILogger logger, long count, string reason);

        [LoggerMessage(324, LogLevel.Warning,
            "Forwarded requests were taken, but {Count} of their records rejected by the other side: {Reason}")]
        public static partial void Rejected(ILogger logger, long count, string reason);

        [LoggerMessage(325, LogLevel.Error, "A request could not be forwarded because of a fault in this service.")]
        public static partial void Broken(ILogger logger, Exception exception);
    }
}
