using System.Globalization;

namespace MatsObservability.Hosting.Run.Processes;

/// <summary>
/// How a child is started on Unix: in a session of its own, so that Ctrl-C reaches only this process and the whole group can be signalled,
/// and with a watchdog that ends the group when this process is gone, even by kill -9.
/// </summary>
/// <remarks>
/// The child's standard input is a pipe that only this process holds open. A small shell reads the other end: when the pipe closes, because
/// this process died or saw the child end, it signals the group and, after the grace period, kills what is left. The shell then becomes the
/// program itself (exec), so the process id seen here is the program's own.
/// </remarks>
internal static class UnixLaunch
{
    private const string Shell = "/bin/sh";

    // $1 signal name, $2 tenths of a second of grace, $3 "-" when the child leads a group of its own.
    private const string Script = """
        signal=$1 grace=$2 group=$3; shift 3
        exec 3<&0 </dev/null
        main=$$
        ( (
          trap '' HUP INT QUIT TERM
          exec >/dev/null 2>&1
          read -r line <&3
          kill -s "$signal" -- "$group$main"
          while [ "$grace" -gt 0 ] && kill -0 "$main"; do sleep 0.1; grace=$((grace - 1)); done
          kill -s KILL -- "$group$main"
        ) & )
        exec 3<&-
        exec "$@"
        """;

    private static readonly Lazy<string[]> s_ownSession = new(FindOwnSession);

    /// <summary>True when children lead a process group of their own, which can be signalled as a whole.</summary>
    public static bool HasOwnGroup => s_ownSession.Value.Length > 0;

    /// <summary>The command line that starts <paramref name="program"/> under the watchdog.</summary>
    public static IEnumerable<string> CommandLine(string program, IEnumerable<string> arguments, UnixSignal stopSignal, TimeSpan grace)
    {
        var signal = stopSignal == UnixSignal.Interrupt ? "INT" : "TERM";
        var tenths = ((int)(grace.TotalSeconds * 10)).ToString(CultureInfo.InvariantCulture);
        return [.. s_ownSession.Value, Shell, "-c", Script, "mats", signal, tenths, HasOwnGroup ? "-" : "", program, .. arguments];
    }

    private static string[] FindOwnSession()
    {
        if (ExecutablePath.Find("setsid") is { } setsid)
        {
            return [setsid];
        }

        // macOS has no setsid program, but ships perl.
        return ExecutablePath.Find("perl") is { } perl ? [perl, "-MPOSIX", "-e", "POSIX::setsid(); exec @ARGV or exit 127"] : [];
    }
}
