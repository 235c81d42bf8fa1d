namespace MatsObservability.ServiceDefaults;

/// <summary>What a program of this system ends with, besides 0 (stopped in order) and 1 (failed; another start may succeed).</summary>
public static class ExitCodes
{
    /// <summary>
    /// What it was given cannot work, so that another start is of no use: <c>EX_CONFIG</c> of BSD's <c>sysexits.h</c>. The AppHost does not
    /// start it again, nor does systemd with <c>RestartPreventExitStatus=78</c>.
    /// </summary>
    public const int Settings = 78;
}
