namespace Orchestrator.Agent.Jobs;

internal sealed partial class EventSignal
{
    private static partial class Log
    {
        [LoggerMessage(4010, LogLevel.Warning,
            "The listener for new events lost its connection and opens another; streams are late by a heartbeat until then: {Reason}")]
        public static partial void ListenerLost(ILogger logger, string reason);
    }
}
