using MatsObservability.ServiceDefaults;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using Orchestrator.Agent.Agents;
using Orchestrator.Agent.Agents.Architect;
using Orchestrator.Agent.Agents.Investigator;
using Orchestrator.Agent.Agents.Remediation;
using Orchestrator.Agent.Agents.Remote;
using Orchestrator.Agent.Agents.Sre;
using Orchestrator.Agent.Api;
using Orchestrator.Agent.Evidence;
using Orchestrator.Agent.Jobs;
using Orchestrator.Agent.Llm;
using Orchestrator.Agent.Mcp;
using Orchestrator.Agent.Planning;
using Orchestrator.Agent.Rca;
using Orchestrator.Agent.Telemetry;

namespace Orchestrator.Agent;

/// <summary>Puts the orchestrator together; <c>Program.cs</c> and the tests start the same thing.</summary>
internal static class OrchestratorApp
{
    private const string DefaultUrl = "http://127.0.0.1:8084";

    /// <param name="configure">Settings to add before anything is read.</param>
    /// <param name="replace">Services to put in the place of those registered here.</param>
    public static WebApplication Build(
        string[] args, Action<WebApplicationBuilder>? configure = null, Action<IServiceCollection>? replace = null)
    {
        var builder = WebApplication.CreateBuilder(args);
        configure?.Invoke(builder);
        if (string.IsNullOrEmpty(builder.Configuration["urls"]) && string.IsNullOrEmpty(builder.Configuration["http_ports"]))
        {
            builder.WebHost.UseUrls(DefaultUrl);
        }

        var phoenix = new PhoenixAccess(builder.Configuration);
        phoenix.CompleteExport(builder.Configuration);

        // Before the shared exporter: processors run in the order they are registered, and this one keeps spans from those behind it.
        builder.AddLiveTraces(phoenix);
        builder.AddServiceDefaults(telemetry =>
        {
            telemetry.ProjectName = ValidatedOptions.Peek<MatsOptions>(builder.Configuration, MatsOptions.Section).OwnProject;
            telemetry.Sources.Add(MatsTracing.SourceName);

            // An investigation is its own trace; the requests that start and poll it would only be noise beside it.
            foreach (var path in new[] { "/jobs", "/troubleshoot", "/ask", "/chat", "/rca", "/info", "/version", "/session", "/event",
                "/stream", "/agents", "/registry" })
            {
                telemetry.UntracedPaths.Add(path);
            }
        });
        // A start that fails is told in one line by Program, not by a stack trace of the host.
        builder.Logging.AddFilter("Microsoft.Extensions.Hosting.Internal.Host", LogLevel.Critical);
        builder.AddNpgsqlDataSource("phoenixdb", settings => settings.DisableTracing = true);

        // With the telemetry's last second this stays well below the grace of supervisors (4 s in the AppHost).
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromSeconds(1.2));
        builder.Services.AddValidatedOptions<MatsOptions>(MatsOptions.Section, MatsOptions.Check);
        builder.Services.TryAddSingleton(TimeProvider.System);
        builder.Services.AddSettingCheck(OtherSettings.Check);
        builder.Services.AddSingleton<PublicAddress>();
        AddPhoenix(builder.Services, phoenix);
        AddJobs(builder.Services);
        AddAgents(builder.Services);
        replace?.Invoke(builder.Services);

        builder.CheckOptions();
        var app = builder.Build();
        app.UseRequestIds();
        app.UseFaultAnswers();
        app.UseTokens();
        app.MapInfo();
        app.MapJobs();
        app.MapEvents();
        app.MapAgents();
        app.MapRca();
        app.MapDefaultEndpoints();
        return app;
    }

    private static void AddPhoenix(IServiceCollection services, PhoenixAccess phoenix)
    {
        services.AddHttpClient("phoenix", phoenix.Apply).ConfigurePrimaryHttpMessageHandler(phoenix.CreateHandler);
        services.AddSingleton(
            provider => new TelemetryReader(
                provider.GetRequiredService<IHttpClientFactory>().CreateClient("phoenix"),
                provider.GetRequiredService<IOptions<MatsOptions>>().Value.PhoenixStall));
        services.AddSingleton(provider => new PhoenixClient(
            provider.GetRequiredService<IHttpClientFactory>().CreateClient("phoenix"), provider.GetRequiredService<IOptions<MatsOptions>>(),
            provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<PhoenixClient>>()));
    }

    private static void AddJobs(IServiceCollection services)
    {
        services.AddHostedService<SchemaMigrator>();
        services.AddSingleton<JobStore>();
        services.AddSingleton<SessionStore>();
        services.AddSingleton<EventLog>();
        services.AddSingleton<EventSignal>();
        services.AddHostedService(provider => provider.GetRequiredService<EventSignal>());
        services.AddSingleton<JobRunner>();
        services.AddHostedService(provider => provider.GetRequiredService<JobRunner>());
        services.AddSingleton<JobRetention>();
        services.AddHostedService(provider => provider.GetRequiredService<JobRetention>());
        services.AddSingleton<JobService>();
        services.AddSingleton<EventStream>();
        services.AddSingleton<AccessPolicy>();
        services.AddSingleton<JobJournal>();
        services.AddSingleton<AbandonedSpans>();
        services.AddSingleton<TriagePhase>();
        services.AddSingleton<CodeAnalysisPhase>();
        services.AddSingleton<SynthesisPhase>();
        services.AddSingleton<PublishPhase>();
        services.AddSingleton<Investigation>();
    }

    private static void AddAgents(IServiceCollection services)
    {
        services.AddValidatedOptions<LlmOptions>(LlmOptions.Section, LlmOptions.Check);
        services.AddSingleton<Model>();
        services.AddSingleton<SummaryWriter>();
        services.AddSingleton<LookAround>();
        services.AddValidatedOptions<McpOptions>(McpOptions.Section, McpOptions.Check);
        services.AddSingleton<McpServers>();
        services.AddSingleton<SequentialThinking>();
        services.AddSingleton<Planner>();
        services.AddSingleton<SreAgent>();
        services.AddSingleton<CodeRepository>();
        services.AddSingleton<CodeSearch>();
        services.AddSingleton<InvestigatorAgent>();
        services.AddSingleton<EvidenceVerifier>();
        services.AddSingleton<ArchitectAgent>();
        services.AddOptions<RemoteAgentOptions>().Configure<IConfiguration>(RemoteAgentOptions.Read);
        services.AddSettingCheck(RemoteAgentOptions.Check);
        services.AddSingleton<AgentCalls>();
        services.AddSingleton<RemoteAgents>();
        services.AddSingleton<RemoteRemediation>();
        services.AddSingleton<AgentTeam>();
        services.AddSingleton<AgentTasks>();
        services.AddSingleton<RcaStore>();
        services.AddSingleton<RequestRouter>();
        services.AddSingleton<OperationalAgent>();
        services.AddValidatedOptions<RemediationOptions>(RemediationOptions.Section, RemediationOptions.Check);
        services.AddSingleton<Validation>();
        services.AddSingleton<AuditLog>();
        services.AddSingleton<RemediationWork>();
        services.AddSingleton<RemediationAgent>();
        services.AddSingleton<ProposalStore>();
        services.AddSingleton<RemoteProposals>();
        services.AddSingleton<Diagnose>(_ => EvidenceEngine.Diagnose);
        services.AddSingleton<ReadTelemetry>(provider =>
        {
            var reader = provider.GetRequiredService<TelemetryReader>();
            return reader.ReadAsync;
        });
    }
}
