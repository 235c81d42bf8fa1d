using Microsoft.Extensions.Logging;

namespace MatsObservability.Hosting.Run;

internal sealed partial class ApplicationRunner
{
    private static partial class Log
    {
        [LoggerMessage(210, LogLevel.Error,
            "The container '{Resource}' does not run here: this host starts processes only. Publish the topology to run it.")]
        public static partial void NoContainerRuntime(ILogger logger, string resource);

        [LoggerMessage(211, LogLevel.Debug, "Everything is stopped after {Seconds:0.0} s.")]
        public static partial void Stopped(ILogger logger, double seconds);
    }
}
