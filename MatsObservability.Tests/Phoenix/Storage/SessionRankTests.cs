using MatsObservability.Tests.Phoenix.Query;
using OpenTelemetry.Proto.Trace.V1;

namespace MatsObservability.Tests.Phoenix.Storage;

/// <summary>Which session a trace is in: one that a span was given before one made of its user's address, whatever comes first.</summary>
[Trait("Req", "M21")]
public sealed class SessionRankTests(QueryServer server) : IClassFixture<QueryServer>
{
    private const string Given = "chat-7";
    private const string OfUser = "user:ada@example.com";

    [Theory]
    [InlineData("given-last", true, false)]
    [InlineData("given-first", false, false)]
    [InlineData("sent-twice", true, true)]
    [InlineData("sent-twice-given-first", false, true)]
    public async Task Export_GivenSessionStartsAfterTheUsersAddress_IsTheTraces(string project, bool givenLast, bool twice)
    {
        var trace = project.Length;
        Span[] spans = [Early(trace), Late(trace)];
        for (var round = 0; round < (twice ? 2 : 1); round++)
        {
            foreach (var span in givenLast ? spans : spans.Reverse())
            {
                await server.SendAsync(project, span);
                await server.RolledUpAsync();
            }
        }

        Assert.Equal([Given], await SessionsAsync(project));
        Assert.Equal(Given, await SessionOfAsync(trace));
    }

    [Fact]
    public async Task Export_BothInOneRequestAndRepeatedWithAnother_IsTheGivenOne()
    {
        await server.SendAsync("together", Early(31), Late(31));
        await server.SendAsync("together", Early(31), Late(31),
            TestSpan.Of(31, 3, startMs: 1, attributes: [("user.email", "bob@example.com")]));
        await server.RolledUpAsync();

        Assert.Equal([Given], await SessionsAsync("together"));
    }

    [Fact]
    public async Task Export_OnlyAddresses_TheEarliestCounts()
    {
        await server.SendAsync("addresses", TestSpan.Of(32, 2, startMs: 9, attributes: [("user.email", "bob@example.com")]), Early(32));
        await server.RolledUpAsync();

        Assert.Equal([OfUser], await SessionsAsync("addresses"));
    }

    [Fact]
    public async Task Delete_TheSpanThatNamedTheSession_LeavesTheAddress()
    {
        await server.SendAsync("recomputed", Early(33), Late(33), TestSpan.Of(33, 3, startMs: 2));
        await server.RolledUpAsync();
        (await server.Client.DeleteAsync($"/v1/spans/{TestSpan.SpanHex(3)}")).EnsureSuccessStatusCode();
        Assert.Equal(Given, await SessionOfAsync(33));

        // Later spans are held against what was recomputed.
        await server.SendAsync("recomputed", TestSpan.Of(33, 4, attributes: [("user.email", "eve@example.com")]));
        await server.RolledUpAsync();

        Assert.Equal([Given], await SessionsAsync("recomputed"));
    }

    private static Span Early(int trace) => TestSpan.Of(trace, 1, attributes: [("user.email", "ada@example.com")]);

    private static Span Late(int trace) => TestSpan.Of(trace, 2, startMs: 500, session: Given);

    private Task<string> SessionOfAsync(int trace) =>
        server.Server.ScalarAsync<string>($"SELECT session_id FROM traces WHERE trace_id = '{TestSpan.TraceId(trace)}'");

    private async Task<string[]> SessionsAsync(string project) =>
        [.. (await server.GetAsync($"/v1/projects/{project}/sessions")).GetProperty("data").EnumerateArray()
            .Select(item => item.GetProperty("session_id").GetString()!)];
}
