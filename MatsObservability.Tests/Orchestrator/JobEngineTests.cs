using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using MatsObservability.Hosting.Run.Endpoints;
using MatsObservability.Tests.Support;
using Npgsql;
using Orchestrator.Agent.Api;
using Orchestrator.Agent.Jobs;

namespace MatsObservability.Tests.Orchestrator;

/// <summary>Jobs that are interrupted: restarts, two replicas, outages, users who answer or cancel, budgets that run out.</summary>
public sealed class JobEngineTests(ShopSystem system) : IClassFixture<ShopSystem>
{
    [Fact, Trait("Req", "M02")]
    public async Task Stop_InTheMiddleOfAJob_AnotherReplicaEndsItOnce()
    {
        var database = await system.NewDatabaseAsync();
        var held = new HeldReads();
        string id;
        await using (var first = await OrchestratorServer.StartAsync(database, system.Phoenix.HttpUrl, services: held.Install))
        {
            id = await first.TroubleshootAsync(ShopTelemetry.Request("shop"));
            await held.Reached;
        }

        await using var second = await OrchestratorServer.StartAsync(database, system.Phoenix.HttpUrl);
        var job = await second.EndAsync(id);

        Assert.Equal("COMPLETED", job.GetProperty("status").GetString());
        var messages = Messages(job);
        Assert.Single(messages, "Job started");
        Assert.Single(messages, "Job goes on at triage");
        Assert.Single(messages, message => message.StartsWith("Phase planning", StringComparison.Ordinal));
        Assert.Single(messages, "Job COMPLETED");
    }

    [Fact, Trait("Req", "M02")]
    public async Task Stop_FiveTimesInTheMiddleOfAJob_IsNoCrashOfIt()
    {
        var database = await system.NewDatabaseAsync();
        string? id = null;
        for (var stop = 0; stop < 5; stop++)
        {
            var held = new HeldReads();
            await using var server = await OrchestratorServer.StartAsync(database, system.Phoenix.HttpUrl, services: held.Install);
            id ??= await server.TroubleshootAsync(ShopTelemetry.Request("shop"));
            await held.Reached;
        }

        await using var last = await OrchestratorServer.StartAsync(database, system.Phoenix.HttpUrl);
        var job = await last.EndAsync(id!);

        Assert.True(job.GetProperty("status").GetString() == "COMPLETED", job.ToString());
    }

    [Fact, Trait("Req", "M02")]
    public async Task Event_WaitedWhileItsJobEnded_IsNotAppended()
    {
        await using var source = NpgsqlDataSource.Create(await DatabaseWithSchemaAsync());
        var (job, events) = await ClaimedAsync(source);
        await using var connection = await source.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await using var cancel = new NpgsqlCommand(
            "update mats.jobs set status = 'CANCELLED'; update mats.channels set last_seq = last_seq + 1", connection, transaction);
        await cancel.ExecuteNonQueryAsync();

        var late = events.AppendAsync(job.ChannelId, job.Id, "INFO", "late", "sre", null, default, leaseToken: job.LeaseToken);
        await Eventually.TrueAsync(async () =>
        {
            await using var waiting = source.CreateCommand($"SELECT EXISTS (SELECT {LockWaits.From})");
            return (bool)(await waiting.ExecuteScalarAsync())!;
        });
        await transaction.CommitAsync();
        await late;

        Assert.DoesNotContain(await events.ReadAsync(job.ChannelId, job.Id, 0, 100, default), stored => stored.Event.Message == "late");
    }

    [Fact, Trait("Req", "M02")]
    public async Task Lease_GivenBack_IsNotTakenAgainByALateRenewal()
    {
        await using var source = NpgsqlDataSource.Create(await DatabaseWithSchemaAsync());
        var store = new JobStore(source, TimeProvider.System);
        var (job, _) = await ClaimedAsync(source);

        Assert.True(await store.ReleaseAsync(job, default));

        Assert.False(await store.RenewAsync(job, TimeSpan.FromHours(1), default));
        Assert.Equal(job.Id, (await store.ClaimAsync("other", TimeSpan.FromHours(1), default))?.Id);
    }

    [Fact, Trait("Req", "M02")]
    public async Task Lease_OfAReplicaThatDied_RunsOutAndItsWritesChangeNothing()
    {
        var database = await DatabaseWithSchemaAsync();
        await using var source = NpgsqlDataSource.Create(database);
        var store = new JobStore(source, TimeProvider.System);
        var (dead, _) = await ClaimedAsync(source);
        Assert.Null(await store.ClaimAsync("other", TimeSpan.FromHours(1), default));
        await using (var left = source.CreateCommand("select lease_until - now() from mats.jobs"))
        {
            Assert.InRange((TimeSpan)(await left.ExecuteScalarAsync())!, TimeSpan.FromMinutes(30), TimeSpan.FromHours(1));
        }

        await using (var expire = source.CreateCommand("update mats.jobs set lease_until = now() - interval '1 second'"))
        {
            Assert.Equal(1, await expire.ExecuteNonQueryAsync());
        }

        await using var replica = await OrchestratorServer.StartAsync(database, system.Phoenix.HttpUrl);
        var job = await replica.EndAsync(dead.Id.ToString());

        Assert.Equal("COMPLETED", job.GetProperty("status").GetString());
        Assert.False(await store.CheckpointAsync(dead, dead.State!, default));
        Assert.False(await store.FinishAsync(dead, JobStatus.Failed, dead.State!, new JobResult("FAILURE"), default));
        Assert.Equal("COMPLETED", (await replica.JobAsync(dead.Id.ToString())).GetProperty("status").GetString());
    }

    [Fact, Trait("Req", "M02")]
    public async Task Lease_WhileTheDatabaseIsSilent_StopsTheRunBeforeItEnds()
    {
        // No statement ever ends by itself: only the lease can stop the run.
        var connection = new NpgsqlConnectionStringBuilder(await system.NewDatabaseAsync()) { CommandTimeout = 0 };
        await using var gate = TcpGate.To(connection.Port);
        connection.Port = gate.Port;
        var held = new HeldReads();
        await using var server = await OrchestratorServer.StartAsync(
            connection.ConnectionString, system.Phoenix.HttpUrl, [("Mats:Lease", "00:00:05")], held.Install);
        try
        {
            await server.TroubleshootAsync(ShopTelemetry.Request("shop"));
            await held.Reached;
            gate.Silence();

            await held.Stopped;
        }
        finally
        {
            // What still waits for the database must not keep the server from its end.
            gate.Close();
        }
    }

    [Fact, Trait("Req", "M02")]
    public async Task TwoReplicas_ManyJobs_EachRunsOnce()
    {
        var database = await system.NewDatabaseAsync();
        await using var first = await OrchestratorServer.StartAsync(database, system.Phoenix.HttpUrl);
        await using var second = await OrchestratorServer.StartAsync(database, system.Phoenix.HttpUrl);

        var ids = await Task.WhenAll(
            Enumerable.Range(0, 8).Select(i => (i % 2 == 0 ? first : second).TroubleshootAsync(ShopTelemetry.Request("shop"))));
        foreach (var id in ids)
        {
            var job = await second.EndAsync(id);
            Assert.True(job.GetProperty("status").GetString() == "COMPLETED", job.ToString());
            Assert.Single(Messages(job), "Job COMPLETED");
        }

        await using var source = NpgsqlDataSource.Create(database);
        await using var claims = source.CreateCommand("select max(lease_token) from mats.jobs");
        Assert.Equal(1L, await claims.ExecuteScalarAsync());
    }

    [Fact, Trait("Req", "M02")]
    public async Task Cancel_RunningJob_StopsItAndNothingFollows()
    {
        var held = new HeldReads();
        await using var server = await OrchestratorServer.StartAsync(
            await system.NewDatabaseAsync(), system.Phoenix.HttpUrl, services: held.Install);
        var id = await server.TroubleshootAsync(ShopTelemetry.Request("shop"));
        await held.Reached;

        using var cancelled = await server.Client.PostAsync($"/jobs/{id}/cancel", null);
        Assert.Equal(HttpStatusCode.Accepted, cancelled.StatusCode);
        held.Release();
        var job = await server.EndAsync(id);
        Assert.Equal("CANCELLED", job.GetProperty("status").GetString());
        Assert.Equal("Job CANCELLED", Messages(job)[^1]);

        using var again = await server.Client.PostAsync($"/jobs/{id}/cancel", null);
        Assert.Equal(HttpStatusCode.Conflict, again.StatusCode);
        using var resumed = await server.Client.PostAsJsonAsync($"/jobs/{id}/resume", new { message = "go on" });
        Assert.Equal(HttpStatusCode.Conflict, resumed.StatusCode);
    }

    [Fact, Trait("Req", "M02"), Trait("Req", "M05")]
    public async Task Denied_Read_WaitsForTheUser_AndOneKeyResumesOnce()
    {
        await using var denying = await HttpStub.StartAsync(context =>
        {
            context.Response.StatusCode = 403;
            return Task.CompletedTask;
        });
        await using var server = await OrchestratorServer.StartAsync(await system.NewDatabaseAsync(), denying.Url);
        var id = await server.TroubleshootAsync(ShopTelemetry.Request("shop"), ("X-User-Email", "ann@example.com"));
        var waiting = await server.WaitForAsync(id, ["WAITING_FOR_USER", "FAILED", "PARTIAL", "COMPLETED"], "ann@example.com");

        Assert.Equal("WAITING_FOR_USER", waiting.GetProperty("status").GetString());
        Assert.Contains("logs viewer", waiting.GetProperty("pending_steps")[0].GetProperty("needs").GetString());
        using (var foreign = await SendAsync(server, id, "bob@example.com", "k1"))
        {
            Assert.Equal(HttpStatusCode.Forbidden, foreign.StatusCode);
        }

        using var first = await SendAsync(server, id, "ann@example.com", "k1");
        using var repeated = await SendAsync(server, id, "ann@example.com", "k1");
        Assert.Equal(HttpStatusCode.Accepted, first.StatusCode);
        Assert.Equal(HttpStatusCode.Accepted, repeated.StatusCode);

        var ended = await server.EndAsync(id, "ann@example.com");
        Assert.Equal("PARTIAL", ended.GetProperty("status").GetString());
        Assert.Single(Messages(ended), "The user answered: resume");
        Assert.Contains("refused the read with 403", ended.GetProperty("result").ToString());

        static async Task<HttpResponseMessage> SendAsync(OrchestratorServer server, string id, string user, string key)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, $"/jobs/{id}/resume")
            {
                Content = JsonContent.Create(new { message = "Continue" }),
            };
            request.Headers.Add("X-User-Email", user);
            request.Headers.Add("Idempotency-Key", key);
            return await server.Client.SendAsync(request);
        }
    }

    [Fact, Trait("Req", "M05")]
    public async Task Post_ThatResumedAJob_RepeatedWithItsKeyAfterTheEnd_RunsNothing()
    {
        await using var denying = await HttpStub.StartAsync(context =>
        {
            context.Response.StatusCode = 403;
            return Task.CompletedTask;
        });
        await using var server = await OrchestratorServer.StartAsync(await system.NewDatabaseAsync(), denying.Url);
        (string, string)[] who = [("X-User-Email", "ann@example.com"), ("X-Session-ID", "s1")];
        var id = await server.TroubleshootAsync(ShopTelemetry.Request("shop"), who);
        await server.WaitForAsync(id, ["WAITING_FOR_USER", "FAILED", "PARTIAL", "COMPLETED"], "ann@example.com");

        var resumed = await server.TroubleshootAsync(new { prompt = "Continue" }, [.. who, ("Idempotency-Key", "k1")]);
        await server.EndAsync(id, "ann@example.com");
        var repeated = await server.TroubleshootAsync(new { prompt = "Continue" }, [.. who, ("Idempotency-Key", "k1")]);

        Assert.Equal(id, resumed);
        Assert.Equal(id, repeated);
        Assert.Single(Messages(await server.JobAsync(id, "ann@example.com")), "The user answered: resume");
    }

    [Fact]
    public async Task PhoenixAway_ComesBackInTime_TheJobWaitsAndEnds()
    {
        var port = FreePort.Next();
        await using var server = await OrchestratorServer.StartAsync(
            await system.NewDatabaseAsync(), $"http://127.0.0.1:{port}", [("Mats:PhoenixPatience", "00:02:00"),
                ("HttpResilience:MaxRetries", "0")]);
        var id = await server.TroubleshootAsync(ShopTelemetry.Request("late"));
        await server.WaitForAsync(id, ["RUNNING"]);

        await using var phoenix = await PhoenixServer.StartAsync(
            await system.NewDatabaseAsync(), ("PHOENIX_PORT", port.ToString(System.Globalization.CultureInfo.InvariantCulture)));
        await ShopTelemetry.SendAsync(phoenix, "late");
        var job = await server.EndAsync(id);

        Assert.True(job.GetProperty("result").TryGetProperty("verdict", out var verdict), job.ToString());
        Assert.NotEqual("FAILED", job.GetProperty("status").GetString());
        Assert.DoesNotContain("did not answer", job.GetProperty("result").ToString());
        Assert.NotNull(verdict.GetString());
    }

    [Fact]
    public async Task PhoenixAway_ForGood_TheResultSaysWhatWasNotSeen()
    {
        await using var server = await OrchestratorServer.StartAsync(
            await system.NewDatabaseAsync(), $"http://127.0.0.1:{FreePort.Next()}", [("Mats:PhoenixPatience", "00:00:02"),
                ("HttpResilience:MaxRetries", "0")]);
        var job = await server.EndAsync(await server.TroubleshootAsync(ShopTelemetry.Request("shop")));

        Assert.Equal("PARTIAL", job.GetProperty("status").GetString());
        Assert.Contains(
            "Traces, logs and metrics of the window were not seen", job.GetProperty("result").GetProperty("limitations").ToString());
        Assert.Empty(job.GetProperty("result").GetProperty("root_causes").EnumerateArray());
    }

    [Fact, Trait("Req", "M12")]
    public async Task Stream_ReconnectWithLastEventId_LosesAndRepeatsNothing()
    {
        var id = await system.Orchestrator.TroubleshootAsync(ShopTelemetry.Request("shop"));
        await system.Orchestrator.EndAsync(id);
        var all = await ReadStreamAsync(id, null);
        Assert.True(all.Count > 5);

        var rest = await ReadStreamAsync(id, all[3].Id);

        Assert.Equal(all.Skip(4), rest);
        Assert.Contains("Job COMPLETED", rest[^1].Data);
    }

    [Fact, Trait("Req", "M12")]
    public async Task Stream_OfAnotherUser_Is403()
    {
        using var response = await system.Orchestrator.Client.GetAsync("/stream/ann@example.com/s1");

        Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
    }

    [Fact, Trait("Req", "M12")]
    public async Task Stream_OfASession_ShowsLiveEventsAsEnvelopes()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/stream/anonymous/live-1");
        using var response = await system.Orchestrator.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType?.MediaType);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());

        await system.Orchestrator.TroubleshootAsync(ShopTelemetry.Request("shop"), ("X-Session-ID", "live-1"));
        var types = new HashSet<string>();
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (await reader.ReadLineAsync(limit.Token) is { } line)
        {
            if (line.StartsWith("data: ", StringComparison.Ordinal))
            {
                var envelope = JsonElement.Parse(line[6..]);
                types.Add(envelope.GetProperty("type").GetString()!);
                Assert.NotEmpty(envelope.GetProperty("header").GetProperty("trace_id").GetString()!);
                if (envelope.GetProperty("payload").GetProperty("message").GetString() == "Job COMPLETED")
                {
                    break;
                }
            }
        }

        Assert.Superset(new HashSet<string> { "LIFECYCLE", "STATUS_UPDATE", "TOOL_CALL", "OBSERVATION", "THOUGHT" }, types);
    }

    [Fact, Trait("Req", "M12")]
    public async Task SessionInit_OfAnOpenChannel_ClosesItsStreamsAndStartsOver()
    {
        var client = system.Orchestrator.Client;
        using var published = await client.PostAsJsonAsync("/session/init", new { user_id = "anonymous", session_id = "again" });
        using var open = await client.GetAsync("/stream/anonymous/again", HttpCompletionOption.ResponseHeadersRead);
        using var reader = new StreamReader(await open.Content.ReadAsStreamAsync());
        var id = await system.Orchestrator.TroubleshootAsync(ShopTelemetry.Request("shop"), ("X-Session-ID", "again"));
        await system.Orchestrator.EndAsync(id);

        using var anew = await client.PostAsJsonAsync("/session/init", new { user_id = "anonymous", session_id = "again" });
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        var old = await reader.ReadToEndAsync(limit.Token);

        Assert.Contains("Job COMPLETED", old);
        Assert.EndsWith("Session initialized", EventEnds(old));
        using var second = await client.GetAsync("/stream/anonymous/again", HttpCompletionOption.ResponseHeadersRead);
        using var fresh = new StreamReader(await second.Content.ReadAsStreamAsync());
        string? first;
        do
        {
            first = await fresh.ReadLineAsync(limit.Token);
        }
        while (first?.StartsWith("data: ", StringComparison.Ordinal) == false);
        Assert.Contains("Session initialized", first);
        Assert.Contains("Job started", Messages(await system.Orchestrator.JobAsync(id)));

        static string EventEnds(string text) =>
            JsonElement.Parse(text.TrimEnd().Split("data: ")[^1]).GetProperty("payload").GetProperty("message").GetString()!;
    }

    [Fact, Trait("Req", "M12")]
    public async Task Stop_WithAnOpenStream_EndsTheStreamAtOnce()
    {
        var server = await OrchestratorServer.StartAsync(await system.NewDatabaseAsync(), system.Phoenix.HttpUrl);
        using var client = new HttpClient { BaseAddress = new Uri(server.Url) };
        using var open = await client.GetAsync("/stream/anonymous/stopped", HttpCompletionOption.ResponseHeadersRead);
        using var reader = new StreamReader(await open.Content.ReadAsStreamAsync());

        await server.DisposeAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(10));

        Assert.Contains("connected", await reader.ReadToEndAsync());
    }

    [Fact, Trait("Req", "M12")]
    public async Task Stream_ReaderThatDoesNotRead_IsDisconnectedAndBlocksNobody()
    {
        var database = await system.NewDatabaseAsync();
        await using var server = await OrchestratorServer.StartAsync(database, system.Phoenix.HttpUrl, [("Mats:SlowReader", "00:00:01")]);
        await using var source = NpgsqlDataSource.Create(database);
        var log = new EventLog(source, TimeProvider.System);
        var channel = await log.ChannelAsync(EventLog.ChannelName("anonymous", "slow"), default);
        await using (var fill = source.CreateCommand(
            "insert into mats.events (channel_id, seq, event_id, time, type, message, source) select $1, n, gen_random_uuid(), now(), 'INFO', repeat('x', 4000), 'test' from generate_series(1, 10000) n"))
        {
            fill.Parameters.AddWithValue(channel);
            await fill.ExecuteNonQueryAsync();
        }

        using var client = new System.Net.Sockets.TcpClient { ReceiveBufferSize = 4096 };
        var url = new Uri(server.Url);
        await client.ConnectAsync(url.Host, url.Port);
        var network = client.GetStream();
        await network.WriteAsync("GET /stream/anonymous/slow HTTP/1.1\r\nHost: x\r\n\r\n"u8.ToArray());

        // Nothing is read until well after the limit; meanwhile others are served and write to the same channel.
        await using (var bump = source.CreateCommand("update mats.channels set last_seq = 10000 where id = $1"))
        {
            bump.Parameters.AddWithValue(channel);
            await bump.ExecuteNonQueryAsync();
        }

        using var other = await server.Client.PostAsJsonAsync("/event", new
        {
            user_id = "anonymous",
            session_id = "slow",
            @event = new
            {
                header = new { event_id = Guid.NewGuid(), timestamp = "2026-01-15T10:00:00Z", agent_name = "other", agent_role = "test" },
                type = "STATUS_UPDATE",
                payload = new { message = "still heard", severity = "INFO" },
                ui_rendering = new { display_type = "toast" },
            },
        });
        Assert.Equal(HttpStatusCode.OK, other.StatusCode);

        // The connection is reset: what the reader sends is refused.
        await Eventually.TrueAsync(async () =>
        {
            try
            {
                await network.WriteAsync("x"u8.ToArray());
                return false;
            }
            catch (IOException)
            {
                return true;
            }
        });
    }

    private async Task<List<(string Id, string Data)>> ReadStreamAsync(string jobId, string? lastEventId)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"/jobs/{jobId}/events");
        request.Headers.Add("Accept", "text/event-stream");
        if (lastEventId is not null)
        {
            request.Headers.Add("Last-Event-ID", lastEventId);
        }

        using var response = await system.Orchestrator.Client.SendAsync(request);
        var text = await response.Content.ReadAsStringAsync();
        return [.. text.Split("\n\n").Where(block => block.StartsWith("id: ", StringComparison.Ordinal))
            .Select(block => block.Split('\n')).Select(lines => (lines[0][4..], lines[1][6..]))];
    }

    private static List<string> Messages(JsonElement job) =>
        [.. job.GetProperty("events").EnumerateArray().Select(e => e.GetProperty("message").GetString()!)];

    /// <summary>A database with the schema, on which no replica runs.</summary>
    private async Task<string> DatabaseWithSchemaAsync()
    {
        var database = await system.NewDatabaseAsync();
        await using var first = await OrchestratorServer.StartAsync(database, system.Phoenix.HttpUrl);
        return database;
    }

    /// <summary>A job of the shop, claimed for an hour; no replica runs on the database.</summary>
    private static async Task<(JobRecord Job, EventLog Events)> ClaimedAsync(NpgsqlDataSource source)
    {
        var (store, events) = (new JobStore(source, TimeProvider.System), new EventLog(source, TimeProvider.System));
        var request = new TroubleshootRequest
        {
            UserRequest = "slow", Project = "shop", StartTime = ShopTelemetry.Iso(ShopTelemetry.Incident),
            EndTime = ShopTelemetry.Iso(ShopTelemetry.Incident.AddMinutes(10)),
        };
        var now = TimeProvider.System.GetUtcNow();
        var created = new JobRecord(
            Guid.NewGuid(), await events.ChannelAsync("c", default), JobStatus.Running, Phase.Intake, now, now, null, "unknown", "s",
            System.Diagnostics.ActivityTraceId.CreateRandom().ToHexString(), null, null, request, [], null, null, null);
        await store.CreateAsync(created, new InvestigationState { SessionId = "s" }, default);
        return ((await store.ClaimAsync("dead", TimeSpan.FromHours(1), default))!, events);
    }
}
