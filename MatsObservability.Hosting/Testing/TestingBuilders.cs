using System.Reflection;
using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Eventing;
using Aspire.Hosting.Testing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace MatsObservability.Hosting.Testing;

/// <summary>Passes everything on to the real builder; how the application is built differs.</summary>
internal abstract class TestingBuilder(DistributedApplicationBuilder inner) : IDistributedApplicationTestingBuilder
{
    public ConfigurationManager Configuration => inner.Configuration;

    public string AppHostDirectory => inner.AppHostDirectory;

    public Assembly? AppHostAssembly => inner.AppHostAssembly;

    public IHostEnvironment Environment => inner.Environment;

    public IServiceCollection Services => inner.Services;

    public IDistributedApplicationEventing Eventing => inner.Eventing;

    public DistributedApplicationExecutionContext ExecutionContext => inner.ExecutionContext;

    public IResourceCollection Resources => inner.Resources;

    public IResourceBuilder<T> AddResource<T>(T resource)
        where T : IResource => inner.AddResource(resource);

    public IResourceBuilder<T> CreateResourceBuilder<T>(T resource)
        where T : IResource => inner.CreateResourceBuilder(resource);

    public DistributedApplication Build() => BuildAsync(CancellationToken.None).GetAwaiter().GetResult();

    public abstract Task<DistributedApplication> BuildAsync(CancellationToken cancellationToken = default);

    public abstract ValueTask DisposeAsync();

    public void Dispose() => DisposeAsync().AsTask().GetAwaiter().GetResult();
}

/// <summary>The builder that an AppHost's entry point made.</summary>
internal sealed class EntryPointTestingBuilder(DistributedApplicationBuilder inner, EntryPointRun run) : TestingBuilder(inner)
{
    public override Task<DistributedApplication> BuildAsync(CancellationToken cancellationToken = default) =>
        run.BuildAsync(cancellationToken);

    public override ValueTask DisposeAsync() => run.AbandonAsync();
}

/// <summary>A builder whose model the test itself writes.</summary>
internal sealed class EmptyTestingBuilder : TestingBuilder
{
    private readonly DistributedApplicationBuilder _inner;
    private DistributedApplication? _application;

    private EmptyTestingBuilder(DistributedApplicationBuilder inner)
        : base(inner) => _inner = inner;

    public static EmptyTestingBuilder Create(
        string[] args, Action<DistributedApplicationOptions, HostApplicationBuilderSettings> configureBuilder)
    {
        var caller = Assembly.GetEntryAssembly() ?? typeof(EmptyTestingBuilder).Assembly;
        var before = BuilderHooks.Current;
        BuilderHooks.Current = new BuilderHooks
        {
            Constructing = (options, settings) => TestDefaults.Apply(caller, options, settings, configureBuilder),
        };
        try
        {
            return new EmptyTestingBuilder(new DistributedApplicationBuilder(args));
        }
        finally
        {
            BuilderHooks.Current = before;
        }
    }

    public override Task<DistributedApplication> BuildAsync(CancellationToken cancellationToken = default) =>
        Task.FromResult(_application = _inner.Build());

    public override ValueTask DisposeAsync() => _application?.DisposeAsync() ?? ValueTask.CompletedTask;
}
