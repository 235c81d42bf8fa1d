using Phoenix.Service.Configuration;
using Phoenix.Service.Storage.Postgres;

namespace Phoenix.Service.Doctor;

/// <summary>
/// <c>doctor</c>: examines the service that runs with these settings, from outside, and says in plain lines what is wrong by a fixed name.
/// </summary>
/// <remarks>
/// 1. Settings: unknown and contradicting names; what is set, secrets masked.
/// 2. The UI answers within 2 s.
/// 3. The exporter registers; a span is sent and read back by its id.
/// 4. Every port takes what it is for.
/// 5. Database and migrations.
/// 6. The pipeline is ready and has room.
/// 7. The span's session, the agents' one project, the span's caller.
/// When the UI does not answer, or is not this service's, what would need it is left out: one cause, one finding.
/// </remarks>
internal static class DoctorCommand
{
    private static readonly TimeSpan s_agentWindow = TimeSpan.FromDays(1);
    private static readonly string[] s_agentSpans = ["investigation_run", "sre_log_analysis",
        "investigator_code_analysis", "architect_synthesis"];

    /// <summary>0 when nothing is wrong, 1 when a check failed.</summary>
    public static async Task<int> RunAsync(string[] args, TextWriter output, CancellationToken cancellationToken)
    {
        DoctorTarget target;
        List<string> warnings, faults;
        try
        {
            (target, warnings, faults) = DoctorTarget.Read(args);
        }
        catch (StartUpException fault)
        {
            output.WriteLine(Finding.Fail("settings", "configuration", fault.Message));
            return 1;
        }

        var failed = 0;
        foreach (var line in target.Environment())
        {
            output.WriteLine($"set  {line}");
        }

        await foreach (var finding in ExamineAsync(target, warnings, faults, TimeProvider.System, cancellationToken))
        {
            failed += finding.Outcome == Outcome.Fail ? 1 : 0;
            output.WriteLine(target.Mask(finding.ToString()));
        }

        output.WriteLine(failed == 0 ? "Nothing is wrong." : $"{failed} {(failed == 1 ? "check" : "checks")} failed.");
        return failed == 0 ? 0 : 1;
    }

    private static async IAsyncEnumerable<Finding> ExamineAsync(
        DoctorTarget target, List<string> warnings, List<string> faults, TimeProvider time,
        [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // 1. Settings
        foreach (var fault in faults)
        {
            yield return Finding.Fail("settings", "configuration", fault);
        }

        foreach (var warning in warnings)
        {
            yield return Finding.Warn("settings",
                warning.Contains("is not a setting", StringComparison.Ordinal) ? "unknown_variable" : "variable", warning);
        }

        using var http = target.Client();
        var checks = new DoctorChecks(target, http);

        // 2. UI
        var ui = await checks.UiAsync(cancellationToken);
        yield return ui;
        IReadOnlyList<Finding> aboutSpan = [];
        if (ui.Code is not ("nothing_listening" or "not_phoenix"))
        {
            // 3. Exporter and read-back
            var span = new DoctorSpan(target, time);
            var sent = await span.SendAsync(cancellationToken);
            yield return sent;
            if (sent.Outcome == Outcome.Ok)
            {
                aboutSpan = await span.ReadBackAsync(http, cancellationToken);
                yield return aboutSpan[0];
            }

            // 4. Ports
            foreach (var finding in await checks.PortsAsync(cancellationToken))
            {
                yield return finding;
            }
        }

        // 5. Database
        await using var database = Database(target, out var unusable);
        var examined = database is null ? unusable : await DatabaseAsync(database, cancellationToken);
        yield return examined;

        // 6. Pipeline
        if (ui.Code is not ("nothing_listening" or "not_phoenix"))
        {
            yield return await checks.PipelineAsync(cancellationToken);
        }

        // 7. Session, projects, caller
        foreach (var finding in aboutSpan.Where(static finding => finding.Check == "session"))
        {
            yield return finding;
        }

        yield return database is null || examined.Outcome != Outcome.Ok
            ? Finding.Skip("projects", "needs the database") : await ProjectsAsync(database, time, cancellationToken);
        foreach (var finding in aboutSpan.Where(static finding => finding.Check == "traceparent"))
        {
            yield return finding;
        }
    }

    private static DatabaseCheck? Database(DoctorTarget target, out Finding unusable)
    {
        unusable = Finding.Skip("database",
            "no connection string is set here (PHOENIX_SQL_DATABASE_URL); what the service says of its database stands under pipeline");
        if (string.IsNullOrWhiteSpace(target.DatabaseGiven))
        {
            return null;
        }

        try
        {
            return new DatabaseCheck(ConnectionSettings.Complete(target.DatabaseGiven, target.DatabaseSchema, MachineSize.Here.Writers));
        }
        catch (StartUpException fault)
        {
            unusable = Finding.Fail("database", "configuration", fault.Message);
            return null;
        }
    }

    private static async Task<Finding> DatabaseAsync(DatabaseCheck database, CancellationToken cancellationToken) =>
        await database.ExamineAsync(cancellationToken) is { Code: { } code } fault
            ? Finding.Fail("database", code, fault.Text!) : Finding.Ok(
                "database", $"answers; its schema is this release's (version {Migrations.Scripts[^1].Version})");

    private static async Task<Finding> ProjectsAsync(DatabaseCheck database, TimeProvider time, CancellationToken cancellationToken)
    {
        var since = (time.GetUtcNow() - s_agentWindow).ToUnixTimeMilliseconds() * 1_000_000;
        return await database.ProjectsOfAsync(s_agentSpans, since, cancellationToken) switch
        {
            null => Finding.Skip("projects", "the database took too long to say where the agents send their spans"),
            [] => Finding.Skip("projects", "no agent has sent a span in the last day"),
            [var one] => Finding.Ok("projects", $"all agents send to {one}"),
            var several => Finding.Fail("projects",
                "agents_split", $"the agents send to several projects ({string.Join(", ", several)}): give all of them one Mats__OwnProject, or their traces fall apart"),
        };
    }
}
