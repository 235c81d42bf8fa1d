using Orchestrator.Agent.Evidence;

namespace MatsObservability.Tests.Orchestrator.Evidence;

/// <summary>What calls alone tell of a changed course: spans without logs, status or kind, as the given incidents have them.</summary>
[Trait("Req", "M09")]
public class CallCourseTests
{
    private const long Ms = 1_000_000;
    private const long Second = 1000 * Ms;

    [Fact]
    public void Diagnose_CallThatWasNeverMade_BlamesTheCaller()
    {
        var cause = EvidenceEngine.Diagnose(Shop(60, static i => i < 10 ? "AB" : i % 3 == 0 ? "AB" : "AXB"),
            Shop(40, static _ => "AB")).Causes[0];

        Assert.Equal(("front", "return", "code"), (cause.Service, cause.FaultType, cause.Location.Kind));
    }

    [Fact]
    public void Diagnose_CallThatWasNeverMadeForARareRequest_IsHealthy() =>
        Assert.Empty(EvidenceEngine.Diagnose(Shop(90, static i => i % 30 == 7 ? "AXB" : "AB"), Shop(40, static _ => "AB")).Causes);

    [Fact]
    public void Diagnose_CallLeftOutThoughTheRunGoesOn_IsFound()
    {
        var causes = EvidenceEngine.Diagnose(Shop(60, static i => i < 10 || i % 3 == 0 ? "ABC" : "AC"), Shop(40, static _ => "ABC")).Causes;

        Assert.Contains(causes, static cause => cause.Service == "front");
        Assert.All(causes, static cause => Assert.Equal("code", cause.Location.Kind));
    }

    [Fact]
    public void Diagnose_CallsInAnotherOrder_AreHealthy() =>
        Assert.Empty(
            EvidenceEngine.Diagnose(Shop(60, static i => i % 2 == 0 ? "ABC" : "ACB"),
                Shop(40, static i => i % 8 == 0 ? "ACB" : "ABC")).Causes);

    [Fact]
    public void CallSteps_SpanAroundRepeatedCalls_IsOnceAndAgain()
    {
        List<string> Steps(string calls) => [.. SequenceChannel.CallSteps(new WindowModel(Shop(1, _ => calls, wrapped: true)).Runs
            .Single(static run => run.Node!.Span.Name == "GET /page")).Select(static step => step.Key)];

        Assert.Equal(["(start)", "a: GET /a", "(end)"], Steps("A"));
        Assert.Equal(["(start)", "a: GET /a", "a: GET /a again", "(end)"], Steps("AA"));
    }

    [Fact]
    public void Diagnose_RunEndsWhileItsMessageIsStillTakenUp_DoesNotBlameTheReader()
    {
        var causes = EvidenceEngine.Diagnose(Shop(60, static i => i < 10 ? "MB" : "M"), Shop(40, static _ => "MB")).Causes;

        Assert.Equal("front", causes[0].Service);
        Assert.DoesNotContain(causes, static cause => cause.Service == "m");
    }

    [Fact]
    public void Diagnose_RunEndsAfterAnAnswer_NamesTheAnsweringServiceToo() =>
        Assert.Contains(EvidenceEngine.Diagnose(Shop(60, static i => i < 10 ? "AB" : "A"), Shop(40, static _ => "AB")).Causes,
            static cause => cause.Service == "a");

    [Fact]
    public void Lasting_ChangeSeenNowhereElse_WeighsMoreUnlessItIsABurst()
    {
        static List<(long, bool)> Trials(int seconds) => [.. Enumerable.Range(0, 60).Select(i => (i * Second, i >= 60 - seconds))];

        Assert.True(
            Lasting.Score(Trials(50), 0, 8, Surprise.TwoRates, unseen: 3) > Lasting.Score(Trials(50), 0, 8, Surprise.TwoRates) + 2.5);
        Assert.Equal(Lasting.Score(Trials(12), 0, 60, Surprise.TwoRates), Lasting.Score(Trials(12), 0, 60, Surprise.TwoRates, unseen: 3));
    }

    [Fact]
    public void LatencyChannel_ThinEdgeOfCallsFastOrSlowByHalves_BorrowsTheOtherCallers()
    {
        static double Gap(int i) => i % 4 == 0 ? 60 : 2;
        var incident = Calls("thin", 24, Gap);

        Assert.NotEmpty(LatencyChannel.Find(new(incident), new(Calls("thin", 12, static _ => 2)), []));
        Assert.Empty(LatencyChannel.Find(new(incident), new(Calls("thin", 12, static _ => 2, Calls("other", 40, Gap))), []));
        Assert.NotEmpty(
            LatencyChannel.Find(new(Calls("thin", 24, static i => 300 + Gap(i))),
                new(Calls("thin", 12, static _ => 2, Calls("other", 40, Gap))), []));
    }

    [Fact]
    public void LatencyChannel_WaitBetweenTwoTries_IsNoSlowness()
    {
        var incident = new WindowModel(Shop(30, static _ => "A..A"));
        var baseline = new WindowModel(Shop(30, static _ => "A"));
        var repeating = incident.Traces.ChildrenFirst.Where(static node => node.Service == "front").ToHashSet();

        Assert.DoesNotContain(LatencyChannel.Find(incident, baseline, repeating),
            static slow => slow is { Service: "front", IsCall: false });
    }

    /// <summary>
    /// A page a second, whose front calls the services that the letters name one after the other; M takes up a message that nobody waits
    /// for, a point is 40 ms of the front's own.
    /// </summary>
    private static TelemetryWindow Shop(int pages, Func<int, string> calls, bool wrapped = false)
    {
        var spans = new List<SpanRecord>();
        for (var i = 0; i < pages; i++)
        {
            var (trace, start, at) = ($"{i + 1:x32}", (100 + i) * Second, (100 + i) * Second);
            var children = new List<SpanRecord>();
            foreach (var letter in calls(i))
            {
                var name = char.ToLowerInvariant(letter);
                at += letter == '.' ? 40 * Ms : 2 * Ms;
                if (letter != '.')
                {
                    children.Add(
                        Span(trace, $"{i:x8}{children.Count:x8}", wrapped ? "client" : "root", $"{name}", $"GET /{name}", at,
                            letter == 'M' ? 400 : 5 + (i % 3)));
                    at += letter == 'M' ? 0 : (5 + (i % 3)) * Ms;
                }
            }

            spans.Add(Span(trace, "root", null, "front", "GET /page", start, ((at - start) / Ms) + 2));
            if (wrapped)
            {
                spans.Add(Span(trace, "client", "root", "front", "HTTP GET", start + Ms, (at - start) / Ms));
            }

            spans.AddRange(children);
        }

        return new("shop", 100 * Second, (100 + pages) * Second, spans, [], [], []);
    }

    /// <summary>
    /// Calls of one service by <paramref name="caller"/>, a second apart, whose way takes what <paramref name="gap"/> says, in ms.
    /// </summary>
    private static TelemetryWindow Calls(string caller, int count, Func<int, double> gap, TelemetryWindow? more = null)
    {
        var spans = new List<SpanRecord>();
        for (var i = 0; i < count; i++)
        {
            var (trace, start) = ($"{caller}{i}", (100 + i) * Second);
            spans.Add(Span(trace, "root", null, caller, "GET /x", start, gap(i) + 10));
            spans.Add(Span(trace, "call", "root", caller, "HTTP GET", start + Ms, gap(i) + 5));
            spans.Add(Span(trace, "server", "call", "back", "GET /back", start + (2 * Ms), 5));
        }

        return new("calls", 100 * Second, (100 + count) * Second, [.. spans, .. more?.Spans ?? []], [], [], []);
    }

    private static SpanRecord Span(string trace, string id, string? parent, string service, string name, long start, double ms) =>
        new(trace, id, parent, service, null, name, 1, 0, null, start, start + (long)(ms * Ms), new Dictionary<string, object>(), []);
}
