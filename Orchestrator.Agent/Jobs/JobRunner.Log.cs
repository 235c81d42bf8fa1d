namespace Orchestrator.Agent.Jobs;

internal sealed partial class JobRunner
{
    private static partial class Log
    {
        [LoggerMessage(4030, LogLevel.Warning, "No job could be taken up, perhaps for want of the database; trying again: {Reason}")]
        public static partial void NotTakenUp(ILogger logger, string reason);

        [LoggerMessage(4031, LogLevel.Warning, "The run of job {JobId} broke off; it is taken up again when its lease ends")]
        public static partial void RunLost(ILogger logger, Guid jobId, Exception exception);

        [LoggerMessage(4032, LogLevel.Warning, "The lease of job {JobId} could not be renewed; trying again while it lasts: {Reason}")]
        public static partial void RenewalFailed(ILogger logger, Guid jobId, string reason);

        [LoggerMessage(4033, LogLevel.Information, "Job {JobId} ended {Status} after {Seconds:0.0} s of work and {ToolCalls} tool calls")]
        public static partial void Finished(ILogger logger, Guid jobId, string status, double seconds, int toolCalls);

        [LoggerMessage(4034, LogLevel.Information, "Job {JobId} was given back at {Phase} because this replica stops")]
        public static partial void GivenBack(ILogger logger, Guid jobId, string phase);

        [LoggerMessage(4035, LogLevel.Warning, "The run of job {JobId} stops: its lease was not renewed in time, and ends soon")]
        public static partial void NotRenewed(ILogger logger, Guid jobId);
    }
}
