using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using MatsObservability.Tests.Support;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using Orchestrator.Agent.Jobs;
using Orchestrator.Agent.Rca;

namespace MatsObservability.Tests.Orchestrator;

/// <summary>The routes, their bodies and their headers, over a Phoenix.Service that holds no telemetry.</summary>
public sealed class ApiTests(EmptySystem system) : IClassFixture<EmptySystem>
{
    private readonly OrchestratorServer _server = system.Orchestrator;

    [Theory, Trait("Req", "M01")]
    [InlineData("/jobs")]
    [InlineData("/troubleshoot")]
    [InlineData("/ask")]
    [InlineData("/chat")]
    public async Task Post_AnyAlias_AcceptsWithLocationAndEchoedRequestId(string route)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, route)
        {
            Content = JsonContent.Create(new { prompt = "why is checkout slow", unknown_field = 1 }),
        };
        request.Headers.Add("X-Request-ID", "r-42");
        using var response = await _server.Client.SendAsync(request);
        var body = await response.Content.ReadFromJsonAsync<JsonElement>();

        Assert.Equal(HttpStatusCode.Accepted, response.StatusCode);
        Assert.Equal("RUNNING", body.GetProperty("status").GetString());
        Assert.Equal($"/jobs/{body.GetProperty("job_id").GetString()}", response.Headers.Location?.ToString());
        Assert.Equal("r-42", response.Headers.GetValues("X-Request-ID").Single());
    }

    [Theory, Trait("Req", "M01")]
    [InlineData("{}", "Prompt/user_request is required")]
    [InlineData("""{"prompt":"  "}""", "Prompt/user_request is required")]
    [InlineData("""{"prompt":"x","start_time":"yesterday"}""",
        "start_time must be an ISO 8601 time such as 2026-01-31T12:00:00Z, got 'yesterday'")]
    [InlineData("""{"prompt":"x","start_time":"2026-01-02T00:00:00Z","end_time":"2026-01-01T00:00:00Z"}""",
        "end_time must be after start_time")]
    [InlineData("""{"prompt":"x","hours_ago":0}""", "hours_ago must be above 0 and at most 168, got 0")]
    [InlineData("""{"prompt":"x","hours_ago":169}""", "hours_ago must be above 0 and at most 168, got 169")]
    [InlineData("""{"prompt":"x","start_time":"2026-01-01T00:00:00Z","end_time":"2026-01-08T00:00:01Z"}""",
        "the time from start_time to end_time must be at most 7 days; name a later start_time or an end_time")]
    [InlineData("""{"prompt":"x","start_time":"2020-01-01T00:00:00Z"}""",
        "the time from start_time to end_time must be at most 7 days; name a later start_time or an end_time")]
    [InlineData("""{"prompt":"x","start_time":"2199-01-01T00:00:00Z"}""",
        "start_time lies in the future, got '2199-01-01T00:00:00Z'; name an end_time too if that is meant")]
    [InlineData("""{"prompt":"x","start_time":"0001-01-01T00:00:00Z","end_time":"0001-01-01T01:00:00Z"}""",
        "start_time must lie between 2000 and 2200, got '0001-01-01T00:00:00Z'")]
    [InlineData("""{"prompt":"x","baseline_start":"2026-01-02T00:00:00Z","baseline_end":"2026-01-01T00:00:00Z"}""",
        "baseline_end must be after baseline_start")]
    public async Task Post_FaultyRequest_Is400NamingTheField(string body, string error)
    {
        using var content = new StringContent(body, Encoding.UTF8, "application/json");
        using var response = await _server.Client.PostAsync("/troubleshoot", content);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal(error, (await response.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("error").GetString());
    }

    [Theory]
    [InlineData("project")]
    [InlineData("repo_url")]
    [InlineData("service")]
    [InlineData("baseline_project")]
    [InlineData("user_request", 20_000)]
    [InlineData("session_id", 200)]
    [InlineData("user_email", 200)]
    public async Task Post_OversizedField_Is400NamingIt(string field, int most = 2000)
    {
        using var response = await system.Orchestrator.Client.PostAsJsonAsync(
            "/troubleshoot", new Dictionary<string, string> { ["prompt"] = "x", [field] = new string('x', most + 1) });

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal(
            $"{field} must be at most {most} characters, got {most + 1}",
            (await response.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("error").GetString());
    }

    [Theory]
    [InlineData("/troubleshoot",
        """{"prompt":"a\u0000b","session_id":"s\u0000t","user_email":"u\u0000v","project":"p\u0000q","repo_url":"/r\u0000"}""", 202)]
    [InlineData("/session/init", """{"user_id":"anonymous","session_id":"s\u0000t"}""", 200)]
    [InlineData("/session/init", """{"user_id":"anonymous","session_id":"\u0000"}""", 400)]
    [InlineData("/event",
        """{"session_id":"s\u0000","event":{"header":{"agent_name":"n\u0000","trace_id":"t\u0000"},"type":"STATUS_UPDATE","payload":{"message":"m\u0000"},"ui_rendering":{"display_type":"toast"}}}""", 200)]
    public async Task Post_NulInAText_IsTakenOrRefusedButNeverFails(string route, string body, int status)
    {
        using var content = new StringContent(body, System.Text.Encoding.UTF8, "application/json");
        using var response = await system.Orchestrator.Client.PostAsync(route, content);

        Assert.True((int)response.StatusCode == status, $"{(int)response.StatusCode}: {await response.Content.ReadAsStringAsync()}");
    }

    [Theory]
    [InlineData("/agents/sre/chat", """{"message":"x","task":{}}""")]
    [InlineData("/agents/sre/chat",
        """{"message":"x","task":{"user_email":"u","session_id":"s","request":{"prompt":"x"},"state":{"workflow":null}}}""")]
    [InlineData("/agents/remediation/execute", """{"task":{}}""")]
    public async Task Post_TaskThatIsNotWhole_Is400(string route, string body)
    {
        using var content = new StringContent(body, Encoding.UTF8, "application/json");
        using var response = await _server.Client.PostAsync(route, content);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Contains("task must hold", await response.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task Get_AJob_TellsTimesInUtcWithZ()
    {
        var job = await _server.EndAsync(await _server.TroubleshootAsync(new { prompt = "x", hours_ago = 1 }));

        Assert.Matches(@"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$", job.GetProperty("updated_at").GetString());
        Assert.DoesNotContain("+00:00", job.ToString());
    }

    [Fact]
    public async Task AnyRequest_WhileTheDatabaseIsAway_Is503WithAHint()
    {
        var connection = new Npgsql.NpgsqlConnectionStringBuilder(await system.NewDatabaseAsync());
        await using var gate = TcpGate.To(connection.Port);
        connection.Port = gate.Port;
        await using var server = await OrchestratorServer.StartAsync(connection.ConnectionString, system.Phoenix.HttpUrl);
        gate.Close();

        using var response = await server.Client.PostAsJsonAsync("/troubleshoot", new { prompt = "x" });

        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.Equal("2", response.Headers.RetryAfter?.ToString());
        Assert.Contains("The database does not answer", await response.Content.ReadAsStringAsync());
    }

    [Theory]
    [InlineData("POST", "/jobs", "X-Session-ID")]
    [InlineData("POST", "/jobs", "X-User-Email")]
    [InlineData("GET", "/jobs", "X-User-Email")]
    [InlineData("GET", "/jobs?session_id={0}", "session_id")]
    [InlineData("GET", "/stream/anonymous/{0}", "session_id")]
    [InlineData("POST", "/session/init", "session_id")]
    [InlineData("POST", "/agents/sre/chat", "session_id")]
    public async Task Request_NameTooLongToKeep_Is400NamingIt(string method, string route, string name)
    {
        var value = new string('x', 201);
        using var request = new HttpRequestMessage(
            new HttpMethod(method), string.Format(CultureInfo.InvariantCulture, route, value));
        request.Headers.TryAddWithoutValidation(name.StartsWith("X-", StringComparison.Ordinal) ? name : "X-Other", value);
        if (method == "POST")
        {
            request.Content = JsonContent.Create(new Dictionary<string, string> { ["prompt"] = "x", ["message"] = "x", [name] = value });
        }

        using var response = await system.Orchestrator.Client.SendAsync(request);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal(
            $"{name} must be at most 200 characters, got 201",
            (await response.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("error").GetString());
    }

    [Fact]
    public async Task Jobs_OfASessionWithNul_NeverFail()
    {
        using var response = await system.Orchestrator.Client.GetAsync("/jobs?session_id=s%00t");

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Fact]
    public async Task Post_IdempotencyKeyTooLongToKeep_Is400AndNotIgnored()
    {
        using var request = new HttpRequestMessage(
            HttpMethod.Post, $"/jobs/{await system.Orchestrator.TroubleshootAsync(new { prompt = "x" })}/cancel");
        request.Headers.Add("Idempotency-Key", new string('k', 201));
        using var response = await system.Orchestrator.Client.SendAsync(request);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
    }

    [Fact, Trait("Req", "M05")]
    public async Task Post_TheSameKeyOfTheSameUser_IsOneJob()
    {
        var ids = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => PostAsync("kim@example.com", "k1")));
        await _server.EndAsync(ids[0], "kim@example.com");
        var later = await PostAsync("kim@example.com", "k1");

        Assert.Equal(later, Assert.Single(ids.Distinct()));
        Assert.NotEqual(later, await PostAsync("kim@example.com", "k2"));
        Assert.NotEqual(later, await PostAsync("lee@example.com", "k1"));
        var started = (await _server.JobAsync(later, "kim@example.com")).GetProperty("events").EnumerateArray().Count(
            e => e.GetProperty("message").GetString() == "Job started");
        Assert.Equal(1, started);

        Task<string> PostAsync(string user, string key) => _server.TroubleshootAsync(
            new { prompt = "why is it slow" }, ("X-User-Email", user), ("X-Session-ID", $"{user}-{key}"), ("Idempotency-Key", key));
    }

    [Fact]
    public async Task Channel_OpenedByTwoRequestsAtOnce_IsOneForBoth()
    {
        var database = _server.Services.GetRequiredService<NpgsqlDataSource>();
        await using var connection = await database.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await using var first = new NpgsqlCommand(
            "insert into mats.channels (name, last_seq) values ('both', 0) returning id", connection, transaction);
        var id = await first.ExecuteScalarAsync();

        var second = _server.Services.GetRequiredService<EventLog>().ChannelAsync("both", default);
        await WaitsForALockAsync(database, "mats.channels");
        await transaction.CommitAsync();

        Assert.Equal(id, await second);
    }

    [Fact, Trait("Req", "M10")]
    public async Task LinkKey_MadeByTwoReplicasAtOnce_IsOneForBoth()
    {
        await using var replica = await OrchestratorServer.StartAsync(await system.NewDatabaseAsync(), system.Phoenix.HttpUrl);
        var database = replica.Services.GetRequiredService<NpgsqlDataSource>();
        await using var connection = await database.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await using var first = new NpgsqlCommand(
            "insert into mats.settings (key, value) values ('link_key', repeat('ab', 32))", connection, transaction);
        await first.ExecuteNonQueryAsync();

        var link = replica.Services.GetRequiredService<RcaStore>().LinkAsync("s/20260101-000000/rca.json", default);
        await WaitsForALockAsync(database, "mats.settings");
        await transaction.CommitAsync();

        var query = QueryHelpers.ParseQuery(new Uri(await link).Query);
        Assert.True(await ActivatorUtilities.CreateInstance<RcaStore>(replica.Services).IsValidAsync(
            "s/20260101-000000/rca.json", long.Parse(query["expires"]!, CultureInfo.InvariantCulture), query["signature"]!, default));
    }

    [Fact, Trait("Req", "M01")]
    public async Task Post_MalformedJson_Is400()
    {
        using var content = new StringContent("{\"prompt\": ", Encoding.UTF8, "application/json");
        using var response = await _server.Client.PostAsync("/jobs", content);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
    }

    [Fact, Trait("Req", "M01")]
    public async Task Get_UnknownJob_Is404()
    {
        using var response = await _server.Client.GetAsync($"/jobs/{Guid.NewGuid()}");

        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
        Assert.Equal("Job not found", (await response.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("error").GetString());
    }

    [Fact, Trait("Req", "M01"), Trait("Req", "M02")]
    public async Task Get_AnotherUsersJob_Is403AndIsNotListed()
    {
        var id = await _server.TroubleshootAsync(new { prompt = "slow" }, ("X-User-Email", "ann@example.com"));

        using var request = new HttpRequestMessage(HttpMethod.Get, $"/jobs/{id}");
        request.Headers.Add("X-User-Email", "bob@example.com");
        using var response = await _server.Client.SendAsync(request);
        Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
        Assert.Equal("ann@example.com", (await _server.JobAsync(id, "ann@example.com")).GetProperty("user_email").GetString());

        using var list = new HttpRequestMessage(HttpMethod.Get, "/jobs");
        list.Headers.Add("X-User-Email", "bob@example.com");
        using var listed = await _server.Client.SendAsync(list);
        Assert.Empty((await listed.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("jobs").EnumerateArray());
    }

    [Fact, Trait("Req", "M05")]
    public async Task Post_WaitWithoutAnyTelemetry_EndsInconclusiveAndSaysSo()
    {
        using var response = await _server.Client.PostAsJsonAsync("/troubleshoot?wait=60", new { user_request = "why is it slow" });
        var result = await response.Content.ReadFromJsonAsync<JsonElement>();

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.True(result.GetProperty("status").GetString() == "PARTIAL", result.ToString());
        Assert.Empty(result.GetProperty("root_causes").EnumerateArray());
        Assert.Contains("no telemetry", result.GetProperty("response").GetString());
        Assert.Contains(
            result.GetProperty("warnings").EnumerateArray(), warning => warning.GetString()!.StartsWith("E001", StringComparison.Ordinal));
    }

    [Theory, Trait("Req", "M01")]
    [InlineData("/health", "status", "healthy")]
    [InlineData("/info", "name", "mats-orchestrator")]
    [InlineData("/version", "version", "1.0.0")]
    public async Task Get_Info_Answers(string route, string field, string value)
    {
        var body = await _server.Client.GetFromJsonAsync<JsonElement>(route);

        Assert.Equal(value, body.GetProperty(field).GetString());
    }

    private static Task WaitsForALockAsync(NpgsqlDataSource database, string table) => Eventually.TrueAsync(async () =>
    {
        await using var waiting = database.CreateCommand($"SELECT EXISTS (SELECT {LockWaits.From} AND query LIKE '%' || $1 || '%')");
        waiting.Parameters.AddWithValue(table);
        return (bool)(await waiting.ExecuteScalarAsync())!;
    });
}
