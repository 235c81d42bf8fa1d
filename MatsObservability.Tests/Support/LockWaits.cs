namespace MatsObservability.Tests.Support;

/// <summary>SQL about the sessions of the present database that wait for a lock: by it a test knows that somebody got there.</summary>
internal static class LockWaits
{
    /// <summary>From all of them; <c>AND query LIKE …</c> may follow.</summary>
    public const string From = "FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
}
