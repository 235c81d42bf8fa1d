using Microsoft.Extensions.Logging;

namespace MatsObservability.Hosting.Run.Supervision;

internal sealed partial class Supervisor
{
    private static partial class Log
    {
        [LoggerMessage(200, LogLevel.Information, "Started as process {ProcessId}.")]
        public static partial void Started(ILogger logger, int processId);

        [LoggerMessage(201, LogLevel.Error, "Cannot start: {Reason}")]
        public static partial void CannotStart(ILogger logger, string reason);

        [LoggerMessage(202, LogLevel.Information, "Started without waiting any longer.")]
        public static partial void WaitReleased(ILogger logger);

        [LoggerMessage(203, LogLevel.Error, "Crashed with exit code {ExitCode}.")]
        public static partial void Crashed(ILogger logger, int exitCode);

        [LoggerMessage(204, LogLevel.Information, "Ended with exit code {ExitCode}.")]
        public static partial void Ended(ILogger logger, int exitCode);

        [LoggerMessage(207, LogLevel.Error, "Ended with exit code {ExitCode}: what it was given cannot work, so it is not started again.")]
        public static partial void WrongSettings(ILogger logger, int exitCode);

        [LoggerMessage(205, LogLevel.Warning, "Starting again in {Seconds:0.#} s (crash {Crashes} in a row).")]
        public static partial void RestartIn(ILogger logger, double seconds, int crashes);

        [LoggerMessage(206, LogLevel.Error, "Stays down after {Crashes} crashes in a row; the command 'start' tries again.")]
        public static partial void GaveUp(ILogger logger, int crashes);
    }
}
