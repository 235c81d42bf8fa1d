using System.Net.Http.Json;
using System.Text.Json;
using MatsObservability.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Npgsql;

namespace MatsObservability.Tests.Orchestrator;

/// <summary>A service to put right, the program that does it, and an orchestrator that may run it.</summary>
public abstract class RemediationCase(ShopSystem system) : IAsyncLifetime, IDisposable
{
    protected const string User = "ann@example.com";

    private readonly ShiftedTime _time = new();
    private string _database = "";

    protected ShopSystem Shop => system;

    private protected TemporaryFolder Folder { get; } = new();

    private protected HttpStub Target { get; private set; } = null!;

    private protected OrchestratorServer Server { get; set; } = null!;

    /// <summary>How far the orchestrator's clock is ahead of the others'.</summary>
    protected TimeSpan Ahead
    {
        set => _time.Ahead = value;
    }

    public async Task InitializeAsync()
    {
        Target = await RemediationTarget.StartAsync(Folder);
        _database = await system.NewDatabaseAsync();
        Server = await StartAsync();
    }

    public async Task DisposeAsync()
    {
        await Server.DisposeAsync();
        await Target.DisposeAsync();
    }

    public void Dispose()
    {
        Folder.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>
    /// Starts over the case's database; <c>set</c>, <c>hold</c> and <c>leave</c> may run, a check is made once unless a setting says
    /// otherwise.
    /// </summary>
    private protected Task<OrchestratorServer> StartAsync(params (string, string)[] settings) => OrchestratorServer.StartAsync(
        _database, system.Phoenix.HttpUrl,
        [
            ("Remediation:Commands:0:Program", Folder.File("setting")),
            ("Remediation:Commands:0:Arguments:0", "set|hold|leave"), ("Remediation:Commands:0:Arguments:1", "[a-zA-Z0-9/._-]+"),
            ("Remediation:Commands:0:Rollback:0", "unset"), ("Remediation:Commands:0:Rollback:1", "{1}"),
            ("Remediation:Commands:0:DryRun:0", "show"), ("Remediation:Commands:0:DryRun:1", "{1}"),
            ("Remediation:Commands:0:Proposal:0", "set"), ("Remediation:Commands:0:Proposal:1", $"{Folder.Path}/{{before}}"),
            ("Remediation:Commands:0:FaultTypes:0", "bad_configuration"),
            ("Remediation:Targets:0", Target.Url), ("Remediation:ValidationPatience", "00:00:00"), .. settings,
        ], services => services.Replace(ServiceDescriptor.Singleton<TimeProvider>(_time)));

    /// <summary>Stops the orchestrator and starts it again over the same database with other settings.</summary>
    private protected async Task RestartAsync(params (string, string)[] settings)
    {
        await Server.DisposeAsync();
        Server = await StartAsync(settings);
    }

    /// <summary>Changes the state of a waiting job, as a run that was killed may have left it.</summary>
    protected async Task SetStateAsync(string id, string[] path, string json)
    {
        await using var database = NpgsqlDataSource.Create(_database);
        await using var command = database.CreateCommand("update mats.jobs set state = jsonb_set(state, $2, $3::jsonb) where id = $1");
        command.Parameters.AddWithValue(Guid.Parse(id));
        command.Parameters.AddWithValue(path);
        command.Parameters.AddWithValue(json);
        Assert.Equal(1, await command.ExecuteNonQueryAsync());
    }

    /// <summary>How many entries of an action by <see cref="User"/> the audit log holds.</summary>
    protected async Task<long> AuditedAsync(string action)
    {
        await using var database = NpgsqlDataSource.Create(_database);
        await using var command = database.CreateCommand("select count(*) from mats.audit where action = $1 and actor = $2");
        command.Parameters.AddWithValue(action);
        command.Parameters.AddWithValue(User);
        return (long)(await command.ExecuteScalarAsync())!;
    }

    protected Task<string> AskAsync(string file, string verb = "set", string validation = "") => Server.TroubleshootAsync(
        new
        {
            prompt = $"TARGET_URL: {Target.Url}\nREMEDIATION_COMMAND: setting {verb} {Folder.File(file)}\n{validation}",
            project = "shop",
        },
        ("X-User-Email", User));

    protected async Task<(string Id, JsonElement Proposal)> ProposeAsync(string file, string verb = "set")
    {
        var id = await AskAsync(file, verb);
        var job = await Server.WaitForAsync(id, ["WAITING_FOR_USER", "FAILED", "COMPLETED"], User);
        Assert.True(job.GetProperty("status").GetString() == "WAITING_FOR_USER", job.ToString());
        return (id, job.GetProperty("result").GetProperty("remediation"));
    }

    protected async Task<JsonElement> ApproveAsync(string id, string? hash)
    {
        using var answer = await SendAsync($"/jobs/{id}/approve", new { command_hash = hash });
        return await Server.EndAsync(id, User);
    }

    protected async Task<HttpResponseMessage> SendAsync(string path, object body)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = JsonContent.Create(body) };
        request.Headers.Add("X-User-Email", User);
        return await Server.Client.SendAsync(request);
    }
}
