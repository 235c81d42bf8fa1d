using System.Reflection;
using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Eventing;
using MatsObservability.Hosting.Dashboard;
using MatsObservability.Hosting.Run.Endpoints;
using MatsObservability.Hosting.Run.Postgres;
using MatsObservability.Hosting.Run.Programs;
using MatsObservability.Hosting.Run.Supervision;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace MatsObservability.Hosting.Run;

/// <summary>Turns the model into running processes and back.</summary>
/// <remarks>
/// Start: 1 take servers that exist already; 2 name the instances; 3 publish the first snapshots; 4 read the parameters; 5 allocate the
/// endpoints and check the fixed ports; 6 open the resource page and tell everybody the addresses; 7 begin the supervision, which waits,
/// starts, watches and starts again; 8 wait for the database servers, because a system without its database cannot run. A failure in any of
/// these ends the run with everything stopped. Stop: dependents before what they depend on.
/// </remarks>
internal sealed partial class ApplicationRunner(
    RunContext context,
    DistributedApplicationOptions application,
    HealthMonitor health,
    DashboardServer dashboard,
    ExistingServers existing,
    IProgress<PostgresDownload> download,
    ILogger<ApplicationRunner> logger) : IHostedService, IAsyncDisposable
{
    /// <summary>How long a stop of everything takes at most; what is left then is killed.</summary>
    internal static readonly TimeSpan LongestStop = TimeSpan.FromSeconds(9);

    /// <summary>
    /// How long one program may take to end before it is killed. Those that end last, the database, have all that is left of
    /// <see cref="LongestStop"/>.
    /// </summary>
    internal static readonly TimeSpan LongestGrace = TimeSpan.FromSeconds(4);

    private readonly Dictionary<string, Supervisor> _supervisors = new(StringComparer.OrdinalIgnoreCase);
    private readonly List<PostgresProgram> _servers = [];
    private readonly List<TcpRelay> _relays = [];
    private readonly EndpointAllocator _endpoints = new(context.Options);
    private readonly CancellationTokenSource _ending = new();
    private Task _health = Task.CompletedTask;
    private bool _stopped;

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        try
        {
            // 1
            await existing.ApplyAsync(cancellationToken);

            // 2
            foreach (var resource in context.Model.Resources)
            {
                Instances.Assign(resource);
                if (IsSupervised(resource))
                {
                    LifecycleCommands.AddTo(resource, id => _supervisors[id]);
                }
            }

            // 3
            foreach (var resource in context.Model.Resources)
            {
                await context.Notifications.PublishUpdateAsync(resource, snapshot => snapshot with { CreationTimeStamp = context.Now });
                var initialize = new InitializeResourceEvent(
                    resource, context.Eventing, context.Loggers, context.Notifications, context.Services);
                await context.Eventing.PublishAsync(initialize, EventDispatchBehavior.NonBlockingConcurrent, cancellationToken);
            }

            // 4
            foreach (var parameter in context.Model.Resources.OfType<ParameterResource>())
            {
                var value = await parameter.GetValueAsync(cancellationToken);
                await context.Notifications.PublishUpdateAsync(parameter, snapshot => snapshot with
                {
                    State = KnownResourceStates.Running,
                    Properties = [.. snapshot.Properties, new ResourcePropertySnapshot("Value", value) { IsSensitive = parameter.Secret }],
                });
            }

            // 5
            foreach (var resource in context.Model.Resources)
            {
                _endpoints.Allocate(resource,
                    listens: IsSupervised(resource) && !resource.HasAnnotationOfType<ExplicitStartupAnnotation>());
            }

            var page = context.Options is { HasDashboard: true, DashboardPort: > 0 } options
                ? [(options.DashboardPort, $"resource page, setting {RunOptions.DashboardPortKey}")]
                : Array.Empty<(int, string)>();
            await _endpoints.CheckFixedPortsAsync(page, cancellationToken);
            _relays.AddRange(_endpoints.Relays.Select(relay => TcpRelay.Start(relay.Port, relay.Targets)));

            // 6
            await dashboard.StartAsync(cancellationToken);
            await AnnounceAsync(cancellationToken);

            // 7
            _health = health.RunAsync(_ending.Token);
            await BeginAsync(cancellationToken);
            await context.Eventing.PublishAsync(new AfterResourcesCreatedEvent(context.Services, context.Model), cancellationToken);

            // 8
            await Task.WhenAll(_servers.Select(server => server.FirstStart)).WaitAsync(cancellationToken);
        }
        catch (Exception failure)
        {
            await EndAsync();
            if (failure is PostgresStartException)
            {
                throw new DistributedApplicationException(failure.Message, failure);
            }

            throw;
        }
    }

    public Task StopAsync(CancellationToken cancellationToken) => EndAsync();

    public async ValueTask DisposeAsync()
    {
        await EndAsync();
        _ending.Dispose();
        foreach (var supervisor in _supervisors.Values)
        {
            supervisor.Dispose();
        }
    }

    private static bool IsSupervised(IResource resource) =>
        resource is ProjectResource or ExecutableResource
            || (resource is PostgresServerResource && !resource.HasAnnotationOfType<ExistingServerAnnotation>());

    private async Task AnnounceAsync(CancellationToken cancellationToken)
    {
        foreach (var resource in context.Model.Resources)
        {
            var urls = await ResourceUrls.OfAsync(context, resource, cancellationToken);
            await context.Notifications.PublishUpdateAsync(resource, snapshot => snapshot with { Urls = urls });
            if (resource is IResourceWithEndpoints)
            {
                await context.Eventing.PublishAsync(new ResourceEndpointsAllocatedEvent(resource, context.Services), cancellationToken);
            }
        }

        foreach (var resource in context.Model.Resources.OfType<IResourceWithConnectionString>())
        {
            await context.Eventing.PublishAsync(new ConnectionStringAvailableEvent(resource, context.Services), cancellationToken);
        }
    }

    private async Task BeginAsync(CancellationToken cancellationToken)
    {
        var environment = new ResourceEnvironment(context, _endpoints);
        var appHost = application.AssemblyName is { } name ? Assembly.Load(new AssemblyName(name)) : Assembly.GetEntryAssembly();
        foreach (var resource in context.Model.Resources)
        {
            switch (resource)
            {
                case ProjectResource project:
                    Supervise(
                        project, (id, instance) =>
                            new ProcessProgram(context, project, id, instance, environment, () => ProjectCommand.Of(project, appHost)));
                    break;
                case ExecutableResource executable:
                    Supervise(executable, (id, instance) => new ProcessProgram(
                        context, executable, id, instance, environment, () =>
                            new ProgramCommand(executable.Command, [], executable.WorkingDirectory)));
                    break;
                case PostgresServerResource server when IsSupervised(server):
                    Supervise(server, (_, _) => Server(server));
                    break;
                case PostgresServerResource server:
                    await PublishRunningAsync([server, .. existing.DatabasesOf(server)]);
                    break;
                case ContainerResource container:
                    Log.NoContainerRuntime(context.Loggers.GetLogger(container), container.Name);
                    await context.Notifications.PublishUpdateAsync(container,
                        snapshot => snapshot with { State = new ResourceStateSnapshot(KnownResourceStates.RuntimeUnhealthy, "error") });
                    break;
                case ConnectionStringResource or ExternalServiceResource or (IResourceWithConnectionString and ParameterResource):
                    await PublishRunningAsync([resource]);
                    break;
            }
        }

        foreach (var supervisor in _supervisors.Values)
        {
            cancellationToken.ThrowIfCancellationRequested();
            supervisor.Begin();
        }
    }

    private PostgresProgram Server(PostgresServerResource server)
    {
        var program = new PostgresProgram(context, server, download);
        if (!server.HasAnnotationOfType<WaitAnnotation>() && !server.HasAnnotationOfType<ExplicitStartupAnnotation>())
        {
            _servers.Add(program);
        }

        return program;
    }

    private void Supervise(IResource resource, Func<string, int, IProgram> program)
    {
        var gate = new StartGate(context, resource);
        foreach (var (instance, id) in RunContext.InstancesOf(resource).Index())
        {
            _supervisors[id] = new Supervisor(context, resource, id, program(id, instance), gate);
        }
    }

    private async Task PublishRunningAsync(IEnumerable<IResource> resources)
    {
        foreach (var resource in resources)
        {
            await context.Notifications.PublishUpdateAsync(resource, snapshot => snapshot with
            {
                State = KnownResourceStates.Running,
                StartTimeStamp = context.Now,
                Urls = [.. snapshot.Urls.Select(url => url with { IsInactive = false })],
            });
        }
    }

    private async Task EndAsync()
    {
        if (_stopped)
        {
            return;
        }

        _stopped = true;
        await dashboard.DisposeAsync();
        var started = context.Time.GetTimestamp();
        var levels = StopOrder.Of(context.Model.Resources).ToList();
        foreach (var level in levels)
        {
            var left = LongestStop - context.Time.GetElapsedTime(started);
            var grace = left < LongestGrace || level == levels[^1] ? left : LongestGrace;
            var ids = level.SelectMany(RunContext.InstancesOf).Where(_supervisors.ContainsKey);
            await Task.WhenAll(ids.Select(id => _supervisors[id].EndAsync(grace > TimeSpan.Zero ? grace : TimeSpan.Zero)));
        }

        await _ending.CancelAsync();
        await _health;
        foreach (var relay in _relays)
        {
            await relay.DisposeAsync();
        }

        context.Options.Dispose();
        Log.Stopped(logger, context.Time.GetElapsedTime(started).TotalSeconds);
    }
}
