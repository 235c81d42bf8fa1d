using System.Collections.Frozen;
using Orchestrator.Agent.Agents.Remediation;
using Orchestrator.Agent.Evidence;
using Orchestrator.Agent.Jobs;

namespace Orchestrator.Agent.Agents.Sre;

/// <summary>Turns a comparison into the report of the triage: every field is taken from a record, none is made up.</summary>
internal static class SreReportWriter
{
    private const int RawSamples = 3;
    private const int MostEvents = 20;
    private const int MostAnomalies = 10;

    /// <summary>
    /// What a signal that could not be read leaves of the confidence: the share of claims that were right without it, measured
    /// (docs/rca-method.md, rca --robustness); the change events alone have no measurement and count as the logs they are.
    /// </summary>
    private static readonly FrozenDictionary<string, double> s_without = new Dictionary<string, double>(StringComparer.Ordinal)
    {
        ["spans"] = 0.8, ["logs"] = 0.8, ["metrics"] = 0.9,
    }.ToFrozenDictionary(StringComparer.Ordinal);

    private static readonly string[] s_versionKeys =
        ["git_commit_sha", "vcs.ref.head.revision", "service.version", "image_tag", "container.image.tag", "version", "revision",
            "build_id"];

    /// <summary>The report of a triage that had nothing to read.</summary>
    public static SreReport Nothing(string blocker) => new(
        "FAILURE", 0, new(null, null, null, null, [], [], [], null), false, null, null, [blocker], [], [], [])
    {
        Verdict = "no_data",
    };

    public static SreReport Write(Triage triage)
    {
        var diagnosis = triage.Diagnosis;
        var lost = triage.Incident.Lost.Union(triage.Baseline?.Lost ?? []).ToList();
        var share = lost.Aggregate(1.0, static (left, signal) => left * s_without.GetValueOrDefault(signal, s_without["logs"]));
        if (diagnosis.Verdict == Verdict.NoData && lost.Count > 0)
        {
            return Nothing($"What could be read of the window holds nothing; {string.Join(", ", lost)} could not be read");
        }

        if (diagnosis.Verdict == Verdict.NoData)
        {
            return new(
                "PARTIAL", 0.1, new(null, null, null, null, [], [], [], null), false, null, null, [],
                ["Check that the service exports telemetry."], [], [])
            {
                Verdict = "no_data",
            };
        }

        var version = Version(triage.Incident);
        var radius = Radius(triage);
        if (diagnosis.Verdict == Verdict.Healthy)
        {
            return new("SUCCESS", Round(0.8 * share), new(null, null, null, version, [], [], Changes(triage), radius), false, null, null,
                [], [], [], [])
            {
                Verdict = "healthy",
            };
        }

        var cause = diagnosis.Causes[0];
        var cited = new Cited(triage.Incident, cause);
        var onset = diagnosis.OnsetNanos is { } nanos ? Iso(nanos) : Iso(triage.Incident.StartNanos);
        var stack = cited.StackTrace() ?? cited.ErrorChain() ?? cited.ChangePoint();
        var errors = cited.HasErrors || diagnosis.Findings.Any(finding => finding.Evidence.Any(e => e.Kind == "log"));
        var evidence = new SreEvidence(
            onset, cited.Signature(), stack, version,
            [.. diagnosis.Findings.Concat(Self(cause)).Where(f => f.Evidence.Any(e => e.Kind == "metric"))
                .Select(f => $"{f.Service}: {f.What}").Distinct().Take(MostAnomalies)],
            cited.LogSamples(RawSamples), Changes(triage), radius);
        var changes = ChangeEvent.Find(triage.Incident);
        var risen = RecoveryMeasure.Risen(
            triage.Incident.Spans.Where(span => span.EndNanos >= (diagnosis.OnsetNanos ?? 0)), triage.Baseline?.Spans ?? []);
        return new(
            "SUCCESS", Round(Confidence(errors, stack is not null, version is not null, cause.Confidence) * share), evidence,
            cause.Location.Kind != "code",
            onset, cause.Service, [], [], [], [.. diagnosis.Causes.Select(found => Ranked(found, share, changes, risen))]);
    }

    private static RankedCause Ranked(RootCause cause, double share, List<ChangeEvent> changes, List<RisenNumber> risen)
    {
        var cited = cause.Evidence.Where(e => e.Kind == "log").Select(e => e.RecordId).ToHashSet();
        var change = changes.Find(change => cited.Contains(change.Log.RecordId));
        return RankedCause.From(cause) with
        {
            Confidence = Round(cause.Confidence * share),
            Change = change is null ? null : new(change.Id, change.Type, change.Target, change.Field, change.Before, change.After),
            Recovery = RecoveryMeasure.Of(cause.Service, risen),
        };
    }

    /// <summary>The confidence of a report by what it found, never above what the engine's own confidence allows to say.</summary>
    public static double Confidence(bool errors, bool stackTrace, bool version, double engine)
    {
        var table = (errors, stackTrace, version) switch
        {
            (true, true, true) => 1.0,
            (true, true, false) or (false, true, _) => 0.8,
            (_, false, _) => 0.6,
        };
        return engine < 0.3 ? 0.3 : table;
    }

    private static double Round(double confidence) => Math.Round(confidence, 3);

    private static IEnumerable<Finding> Self(RootCause cause) =>
        [new(cause.Service, $"{cause.FaultType}, {cause.Location.Detail}", cause.Confidence, cause.Evidence)];

    private static string? Version(TelemetryWindow window) => window.Spans.Take(2000).Select(span => span.Attributes)
        .Concat(window.Logs.Take(2000).Select(log => log.Attributes))
        .SelectMany(attributes => s_versionKeys.Select(key => attributes.GetValueOrDefault(key) as string))
        .FirstOrDefault(value => !string.IsNullOrWhiteSpace(value));

    private static IReadOnlyList<string> Changes(Triage triage) =>
    [
        .. ChangeEvent.Find(triage.Incident).TakeLast(MostEvents)
            .Select(change => $"{Iso(change.Log.TimeNanos)} {change.Log.Service}: {change.Log.Body}"),
    ];

    private static BlastRadius Radius(Triage triage)
    {
        var roots = triage.Incident.Spans.Where(span => span.ParentId is null).ToList();
        var failing = triage.Incident.Spans.Where(span => span.Status == 2).Select(span => span.TraceId).ToHashSet(StringComparer.Ordinal);
        var failed = roots.Count(root => root.Status == 2 || failing.Contains(root.TraceId));
        var services = triage.Incident.Spans.Where(span => span.Status == 2).Select(span => span.Service).Distinct()
            .Concat(triage.Diagnosis.Causes.Select(cause => cause.Service)).Distinct().Order(StringComparer.Ordinal).ToList();
        var rise = P99(roots) - P99(triage.Baseline?.Spans.Where(span => span.ParentId is null).ToList() ?? roots);
        return new(
            roots.Count, failed, failing.Count, services, roots.Count == 0 ? 0 : Math.Round(100.0 * failed / roots.Count, 2),
            Math.Round(Math.Max(0, rise), 1),
            roots.Count > 0 && failed >= roots.Count * 0.9 ? "steady" : failed > 0 ? "intermittent" : "none");
    }

    private static double P99(List<SpanRecord> roots) =>
        roots.Count == 0 ? 0 : Robust.NearestRank(roots.Select(static root => root.DurationNanos / 1e6), 0.99);

    private static string Iso(long nanos) => TimeWindow.Time(nanos).ToString(
        "yyyy-MM-ddTHH:mm:ss.fffZ", System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>The records behind a cause.</summary>
    private sealed class Cited
    {
        private readonly RootCause _cause;
        private readonly List<SpanRecord> _spans;
        private readonly List<LogRecord> _logs;

        public Cited(TelemetryWindow window, RootCause cause)
        {
            _cause = cause;
            var spanIds = cause.Evidence.Where(e => e.Kind == "span").Select(e => (e.TraceId, e.SpanId)).ToHashSet();
            var logIds = cause.Evidence.Where(e => e.Kind == "log").Select(e => e.RecordId).ToHashSet();
            _spans = [.. window.Spans.Where(span => spanIds.Contains((span.TraceId, span.SpanId)))];
            _logs = [.. window.Logs.Where(log => logIds.Contains(log.RecordId))];
        }

        public bool HasErrors => _spans.Any(span => span.Status == 2) || _logs.Any(log => log.Severity >= 17);

        /// <summary>One line that names the failure: the exception, else the error text, else the first claim.</summary>
        public string Signature()
        {
            var exception = Exceptions().FirstOrDefault();
            if (exception is not null && (Attribute(exception, "exception.type") ?? Attribute(exception, "exception.message")) is not null)
            {
                return $"{Attribute(exception, "exception.type")}: {Attribute(exception, "exception.message")}".Trim(' ', ':');
            }

            return _logs.Where(log => log.Severity >= 13).Select(log => FirstLine(log.Body)).FirstOrDefault()
                ?? _spans.Where(span => span.Status == 2)
                    .Select(span => span.StatusMessage is { Length: > 0 } m ? m : $"error in {span.Name}").FirstOrDefault()
                ?? (_cause.Evidence.Count > 0 ? _cause.Evidence[0].Claim : null)
                ?? $"{_cause.FaultType} in {_cause.Service}";
        }

        public string? StackTrace() => Exceptions().Select(e => Attribute(e, "exception.stacktrace")).FirstOrDefault(
            text => !string.IsNullOrEmpty(text))
            ?? _logs.Select(log => log.Attributes.GetValueOrDefault("exception.stacktrace") as string).FirstOrDefault(
                text => !string.IsNullOrEmpty(text))
            ?? _logs.Select(log => log.Body).FirstOrDefault(body => body.Contains("\n\tat ", StringComparison.Ordinal)
                || body.Contains("\n   at ", StringComparison.Ordinal)
                || body.Contains("Traceback (most recent call last)", StringComparison.Ordinal));

        /// <summary>The failing spans one under the other: what stands for a stack trace between services.</summary>
        public string? ErrorChain()
        {
            var failing = _spans.Where(span => span.Status == 2).ToList();
            return failing.Count == 0
                ? null
                : string.Join(
                    "\n", failing.OrderBy(span => span.StartNanos).Take(10)
                        .Select(span => $"{span.Service}: {span.Name} ({span.StatusMessage ?? "error"})"));
        }

        public string? ChangePoint() => _cause.Evidence.FirstOrDefault(e => e.Kind == "metric" || e.Value is not null)?.Claim;

        public IReadOnlyList<string> LogSamples(int most) => [.. _logs.OrderBy(log => log.TimeNanos).Take(most).Select(log => log.Body)];

        private IEnumerable<SpanEventRecord> Exceptions() => _spans.SelectMany(span => span.Events).Where(e => e.Name == "exception");

        private static string? Attribute(SpanEventRecord e, string key) => e.Attributes.GetValueOrDefault(key) as string;

        private static string FirstLine(string text) => text.Split('\n', 2)[0].Trim();
    }
}
