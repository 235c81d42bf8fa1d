namespace Orchestrator.Agent.Evidence;

/// <summary>What a change can bring about: its fault type, where that lies, and the symptoms it would have.</summary>
/// <param name="Rank">The more specific kind wins where several changes fit.</param>
internal sealed record ChangeKind(string FaultType, string Location, int Rank, Func<Symptoms, bool> CanCause)
{
    private static readonly ChangeKind s_moved = new("region_moved", "deployment", 9, static found => found.Refused || found.Silent);
    private static readonly ChangeKind s_deleted = new("service_deleted", "deployment", 8, static found => found.Refused || found.Silent);
    private static readonly ChangeKind s_access = new("access_revoked", "access", 7, static found => found.Has(401, 403));
    private static readonly ChangeKind s_ingress = new("ingress_restricted", "access", 7, static found => found.Has(403, 404)
        || found.Refused);
    private static readonly ChangeKind s_traffic = new("traffic_misrouted", "deployment", 6, static found => found.Has(404, 502, 503)
        || found.Silent);
    private static readonly ChangeKind s_concurrency = new("concurrency_limit", "scaling", 6, static found => found.Has(429, 503)
        || found.Slow);
    private static readonly ChangeKind s_memory = new("memory_exhaustion", "memory", 6, static found => found.OutOfMemory);
    private static readonly ChangeKind s_scaling = new("scaling_disabled", "scaling", 5, static found => found.Has(429, 500, 502, 503)
        || found.Silent || found.Slow);
    private static readonly ChangeKind s_deployment = new("failed_deployment", "deployment", 4, static found => found.Failing
        || found.Broken || found.Slow);
    private static readonly ChangeKind s_configuration = new("bad_configuration", "configuration", 3, static found => found.Failing
        || found.Broken || found.Slow);

    /// <summary>The kind of a change, from the words of its type, field and values; null when they tell none.</summary>
    public static ChangeKind? Of(ChangeEvent change, IEnumerable<ChangeEvent> sameTarget)
    {
        var words = Words($"{change.Type} {change.Field}");
        bool Any(params ReadOnlySpan<string> stems)
        {
            foreach (var stem in stems)
            {
                if (Array.Exists(words, word => word.StartsWith(stem, StringComparison.Ordinal)))
                {
                    return true;
                }
            }

            return false;
        }

        return Any("delete", "destroy", "undeploy") ? sameTarget.Any(other => other != change && Elsewhere(change, other)) ? s_moved
            : s_deleted
            : Any("iam", "policy", "role", "permission", "binding", "acl", "invoker", "rbac") ? s_access
            : Any("ingress", "firewall", "networkpolicy", "egress") ? s_ingress
            : Any("traffic", "weight", "routing") ? s_traffic
            : Any("memory", "mem") ? s_memory
            : Any("concurren", "connections", "threads", "pool") ? s_concurrency
            : Any("scal", "instance", "replica", "mininstances", "maxinstances") ? s_scaling
            : Any("env", "config", "variable", "secret", "setting", "flag") ? s_configuration
            : Any("deploy", "image", "revision", "release", "rollout", "version") ? s_deployment
            : null;
    }

    /// <summary>Something was brought up elsewhere about when this was taken away.</summary>
    private static bool Elsewhere(ChangeEvent deleted, ChangeEvent other) =>
        Words(other.Type).Any(static word => word is "deploy" or "create" or "provision") && other.Field != deleted.Field;

    private static string[] Words(string text) => text.ToLowerInvariant()
        .Split([' ', '.', '_', '-', '/', ':'], StringSplitOptions.RemoveEmptyEntries);
}

/// <summary>What a service in trouble shows, as far as kinds of change tell themselves apart by it.</summary>
/// <param name="Statuses">HTTP answers of 400 and above that became more frequent, the service's own or its callers' calls to it.</param>
/// <param name="Silent">Hardly any server span of the service since the trouble, though it is called.</param>
/// <param name="Broken">Error records or broken sequences of its own.</param>
internal sealed record Symptoms(HashSet<int> Statuses, bool Silent, bool Slow, bool Broken, bool OutOfMemory, long FirstNanos)
{
    public bool Failing => Statuses.Count > 0 || Broken;

    /// <summary>Called, and told that it is not there or not allowed.</summary>
    public bool Refused => Has(403, 404, 410);

    public bool Has(params ReadOnlySpan<int> statuses)
    {
        foreach (var status in statuses)
        {
            if (Statuses.Contains(status))
            {
                return true;
            }
        }

        return false;
    }

    public static Symptoms Of(string service, Signals signals)
    {
        const double telling = 3;
        var failures = signals.Failures.Where(found => found.Service == service && found.Score >= telling).ToList();
        var statuses = failures.SelectMany(static found => found.Spans).Select(static node => FailureChannel.HttpStatus(node.Span))
            .OfType<int>().Where(static status => status >= 400).ToHashSet();
        var slow = signals.Slowdowns.Where(found => (found.Service == service || found.Callee == service) && found.Excess >= telling)
            .ToList();
        var memory = signals.Metrics.Any(shift => shift.Service == service && shift.Resource == "memory" && shift.Score >= telling);
        var killed = failures.SelectMany(static found => found.Logs).Any(static log =>
            log.Body.Contains("memory", StringComparison.OrdinalIgnoreCase) || log.Body.Contains("137", StringComparison.Ordinal)
                || log.Body.Contains("OOM", StringComparison.Ordinal));
        var times = failures.SelectMany(static found => found.Spans.Select(static node => node.Span.StartNanos)
            .Concat(found.Logs.Select(static log => log.TimeNanos)))
            .Concat(slow.SelectMany(static found => found.Slow).Select(static piece => piece.Node.Span.StartNanos)).ToList();
        var first = times.Count > 0 ? times.Min() : long.MaxValue;
        return new(
            statuses, Silence(service, signals, first), slow.Count > 0,
            failures.Exists(static found => found.Logs.Count > 0) || signals.Breaks.Any(found => found.Service == service
                && found.Score >= telling), memory || killed, first);
    }

    private static bool Silence(string service, Signals signals, long since)
    {
        const double hardlyAny = 0.2;
        var before = signals.Baseline.Traces.ChildrenFirst.Count(node => node.Service == service) / signals.Baseline.Traffic;
        var now = signals.Incident.Traces.ChildrenFirst.Count(node => node.Service == service && node.Span.StartNanos >= since);
        var traffic = signals.Incident.Traces.ChildrenFirst.Count(node => node.Parent is null && node.Span.StartNanos >= since);
        return traffic > 0 && before > 0 && now < hardlyAny * before * traffic;
    }
}
