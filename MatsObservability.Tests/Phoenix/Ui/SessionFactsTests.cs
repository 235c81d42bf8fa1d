using System.Net;
using System.Text.RegularExpressions;
using MatsObservability.Tests.Support;

namespace MatsObservability.Tests.Phoenix.Ui;

/// <summary>
/// The facts of a session that its pages must show, each with the value that follows from the spans sent; and which session
/// a trace belongs to.
/// </summary>
public sealed partial class SessionFactsTests(PostgresFixture postgres) : IClassFixture<PostgresFixture>
{
    [Fact, Trait("Req", "M14")]
    public async Task SessionPages_TwoTracesOfASession_ShowEveryFactOfThem()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        var first = await TurnAsync(server, 0, 1000, """{"question":"Where is order 7?"}""", "On its way.", null);
        var second = await TurnAsync(server, 60_000, 3000, "And order 8?", """{"answer":"lost"}""", "the database is away");

        var sessions = await Eventually.GetAsync(
            async () => Text(await server.Client.GetStringAsync("/projects/shop/sessions")),
            html => Row(html).Contains("And", StringComparison.Ordinal) || Row(html).Contains("2468", StringComparison.Ordinal)
                || Row(html).Contains("2,468", StringComparison.Ordinal));
        var row = Row(sessions);
        Assert.All(["Session", "First input", "Last output", "User", "Start", "Last", "Traces", "Errors", "P50", "Tokens", "Cost"],
            column => Assert.Contains($">{column}</th>", sessions));
        Assert.All(["s-7", "Where is order 7?", "lost", "ann", "2,468"], value => Assert.Contains(value, row));

        var page = Text(await server.Client.GetStringAsync("/projects/shop/session?id=s-7"));
        var stats = StatPattern().Matches(page).ToDictionary(match => match.Groups["label"].Value, match => match.Groups["value"].Value);
        Assert.Equal("2", stats["Traces"]);
        Assert.Equal("1", stats["Errors"]);
        Assert.StartsWith("50", stats["Succeeded"]);
        Assert.Equal("2,468", stats["Tokens"]);
        Assert.StartsWith("$0.0", stats["Cost"]);
        Assert.NotEqual("–", stats["Latency P50"]);
        Assert.Contains("1m", stats["Total time"].Replace(" ", "", StringComparison.Ordinal));
        Assert.Equal(2, page.Split("HUMAN").Length - 1);
        Assert.Equal(2, page.Split("<b>AI</b>").Length - 1);
        Assert.Contains("question", page);
        foreach (var trace in new[] { first, second })
        {
            var turn = page[page.IndexOf($"/traces/{trace}", StringComparison.Ordinal)..];
            Assert.Contains("1,234 tokens", turn[..turn.IndexOf("</header>", StringComparison.Ordinal)]);
        }

        Assert.Contains("s-7", await server.Client.GetStringAsync("/projects/shop/sessions?q=s-7"));
        Assert.DoesNotContain("session?id=s-7", await server.Client.GetStringAsync("/projects/shop/sessions?q=nobody"));
    }

    [Theory, Trait("Req", "M21")]
    [InlineData("session_id", "chosen", "chosen")]
    [InlineData("openinference.session.id", "chosen", "chosen")]
    [InlineData("user.email", "ann@example.com", "user:ann@example.com")]
    public async Task Trace_WhoseRootNamesTheSession_BelongsToItWithItsSilentChildren(string key, string value, string session)
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        var trace = new AgentTrace("shop", "assistant", Otlp.NowNanos);
        var root = trace.Add("handle_question", "CHAIN", null, 0, 100, null, (key, value));
        trace.Add("find_order", "TOOL", root, 10, 20);
        await trace.PostAsync(server.Client);

        Assert.Equal(session, await server.ScalarAsync<string>("SELECT session_id FROM spans WHERE parent_id IS NULL"));
        await Eventually.TrueAsync(
            async () =>
                await server.ScalarAsync<long>($"SELECT count(*) FROM traces WHERE session_id = '{session}' AND span_count = 2") == 1);
        using var found = await server.Client.GetAsync("/v1/projects/shop/sessions");
        Assert.Contains(session, (await found.Content.ReadAsStringAsync()).Replace("\\u0040", "@", StringComparison.Ordinal));
    }

    [Fact, Trait("Req", "M21")]
    public async Task Trace_WhoseRootNamesTheSessionByARuleOfTheOperator_BelongsToIt()
    {
        using var folder = new TemporaryFolder();
        var file = folder.File("rules.json");
        await File.WriteAllTextAsync(file, """[{"attribute": "ticket", "prefix": "ticket:"}]""");
        await using var server = await PhoenixServer.StartAsync(postgres, ("PHOENIX_SESSION_EVALUATOR_FILE_PATH", file));
        var trace = new AgentTrace("shop", "assistant", Otlp.NowNanos);
        var root = trace.Add("handle_question", "CHAIN", null, 0, 100, null, ("ticket", 7), ("session.id", "s"));
        trace.Add("find_order", "TOOL", root, 10, 20);
        await trace.PostAsync(server.Client);

        await Eventually.TrueAsync(
            async () => await server.ScalarAsync<long>("SELECT count(*) FROM traces WHERE session_id = 'ticket:7' AND span_count = 2") == 1);
    }

    private static async Task<string> TurnAsync(
        PhoenixServer server, ulong offset, ulong milliseconds, string input, string output, string? error)
    {
        var trace = new AgentTrace("shop", "assistant", Otlp.NowNanos - 600_000_000_000);
        var root = trace.Add(
            "handle_question", "CHAIN", null, offset, milliseconds, error, ("input.value", input), ("output.value", output),
            ("session.id", "s-7"), ("user.id", "ann"));
        trace.Add("chat", "LLM", root, offset + 10, 200, null, ("llm.model_name", "gpt-4o"), ("llm.token_count.prompt", 1200),
            ("llm.token_count.completion", 34));
        await trace.PostAsync(server.Client);
        return trace.TraceId;
    }

    private static string Row(string html) =>
        html.Contains("<tbody>", StringComparison.Ordinal) ? html[html.IndexOf("<tbody>", StringComparison.Ordinal)..] : "";

    private static string Text(string html) => WebUtility.HtmlDecode(html);

    [GeneratedRegex(@"<dt>(?<label>[^<]*)</dt>\s*<dd>(?<value>[^<]*)", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex StatPattern();
}
