using MatsObservability.Benchmarks.Load;

namespace MatsObservability.Benchmarks.Rca;

/// <summary>
/// The evaluation through the real system: telemetry in by OTLP, the question and the answer over HTTP, every cited record looked up.
/// </summary>
internal sealed class LiveRca(RcaCases cases, LiveClient system)
{
    private int _cited;
    private int _resolved;

    /// <remarks>1 start the system; 2 load the baselines; 3 load and ask each case; 4 ask for the fault-free windows.</remarks>
    public static async Task<RcaReport> RunAsync(RcaCases cases, CancellationToken cancellationToken)
    {
        await using var system = await SystemUnderTest.StartAsync(new SystemOptions { WithOrchestrator = true }, cancellationToken); // 1
        using var client = new LiveClient(system.Phoenix.HttpUrl, system.OrchestratorUrl);
        var run = new LiveRca(cases, client);
        foreach (var day in cases.Baselines) // 2
        {
            await client.UploadAsync(BaselineProject(day), OtlpFiles.Requests(cases.BaselineFolder(day)), cancellationToken);
        }

        var scores = new List<CaseScore>();
        foreach (var given in cases.All) // 3
        {
            var answer = await run.AskCaseAsync(given, cancellationToken);
            scores.Add(new(given, answer.Ranked, answer.Seconds));
        }

        var controls = new List<(string, string?)>();
        foreach (var control in Controls.Of(cases)) // 4
        {
            controls.Add((control.Name, Blamed(await run.AskControlAsync(control, cancellationToken))));
        }

        foreach (var given in cases.FaultFree)
        {
            controls.Add((given.Id, Blamed(await run.AskCaseAsync(given, cancellationToken))));
        }

        return new(scores, controls, run._cited == 0 ? null : Math.Round((double)run._resolved / run._cited, 4));
    }

    private static string? Blamed(LiveAnswer answer) =>
        answer.Ranked.Count == 0 ? null : $"{answer.Ranked[0].Service} {answer.Ranked[0].FaultType} {answer.Ranked[0].Detail}";

    private static string BaselineProject(string day) => $"rca-baseline-{day}";

    private async Task<LiveAnswer> AskAsync(string project, DateTimeOffset start, DateTimeOffset end, string baseline,
        CancellationToken cancellationToken)
    {
        var answer = await system.AskAsync(project, start, end, baseline, cancellationToken);
        _cited += answer.Cited;
        _resolved += answer.Resolved;
        return answer;
    }

    private async Task<LiveAnswer> AskCaseAsync(RcaCase given, CancellationToken cancellationToken)
    {
        await system.UploadAsync($"rca-{given.Id}", OtlpFiles.Requests(cases.CaseFolder(given)), cancellationToken);
        return await AskAsync($"rca-{given.Id}", given.WindowStart, given.WindowEnd, BaselineProject(given.Baseline), cancellationToken);
    }

    /// <summary>
    /// A part of a day against another day asks in the day's project; against another part of itself, that part gets a project of its own.
    /// </summary>
    private async Task<LiveAnswer> AskControlAsync(Control control, CancellationToken cancellationToken)
    {
        var baseline = BaselineProject(control.BaselineDay);
        if (control.BaselinePart is { } part)
        {
            baseline = $"rca-control-{control.BaselineDay}-{part.Name.Replace(' ', '-')}";
            if (_parts.Add(baseline))
            {
                await system.UploadAsync(baseline,
                    OtlpFiles.Requests(cases.BaselineFolder(control.BaselineDay), part.Start, part.End), cancellationToken);
            }
        }

        return await AskAsync(BaselineProject(control.Day), Time(control.Part.Start), Time(control.Part.End), baseline, cancellationToken);
    }

    private readonly HashSet<string> _parts = new(StringComparer.Ordinal);

    private static DateTimeOffset Time(long nanos) => DateTimeOffset.UnixEpoch.AddTicks(nanos / TimeSpan.NanosecondsPerTick);
}
