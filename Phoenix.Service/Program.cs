using MatsObservability.ServiceDefaults;
using Phoenix.Service.Configuration;
using Phoenix.Service.Doctor;
using Phoenix.Service.Health;
using Phoenix.Service.Ingest;
using Phoenix.Service.Listening;
using Phoenix.Service.Metrics;
using Phoenix.Service.Query;
using Phoenix.Service.Retention;
using Phoenix.Service.Security;
using Phoenix.Service.Storage;
using Phoenix.Service.Ui;

namespace Phoenix.Service;

/// <summary>The service's table of contents.</summary>
internal static class Program
{
    /// <summary>
    /// Runs until stopped. 0 = stopped in order, <see cref="ExitCodes.Settings"/> = what it was given cannot work, 1 = could not start for
    /// another reason (the reasons are on standard error, one a line). With the first argument <c>doctor</c> it starts nothing and examines
    /// the service that runs with the same settings.
    /// </summary>
    public static Task<int> Main(string[] args) =>
        args is ["doctor", .. var rest]
            ? DoctorCommand.RunAsync(rest, Console.Out, CancellationToken.None)
            : StartUp.RunAsync(() => Build(args));

    /// <summary>The service, built and not started.</summary>
    public static WebApplication Build(string[] args)
    {
        var builder = CreateBuilder(args);
        // A failed start is explained by StartUp, without the host's stack trace.
        builder.Logging.AddFilter("Microsoft.Extensions.Hosting.Internal.Host", LogLevel.Critical);
        var readable = builder.AddPhoenixEnvironment();
        builder.AddListeners();
        // Off by default: the service's own telemetry must not re-enter its own ingest.
        builder.AddServiceDefaults(telemetry => telemetry.Export = false);
        builder.AddStorage(readable);
        builder.AddSecurity();
        builder.AddQuery();
        builder.AddUi();
        builder.AddPhoenixMetrics();
        builder.AddIngest();
        builder.AddRetention();

        builder.CheckOptions(EnvironmentAliases.VariablesOf);
        var app = builder.Build();
        app.UseListeners();
        app.UseSecurity();
        app.MapSecurity();
        app.MapHealth();
        app.MapIngest();
        app.MapQuery();
        app.MapUi();
        app.MapPhoenixMetrics();
        return app;
    }

    /// <summary>The host with its sources of settings; <c>doctor</c> reads them too.</summary>
    public static WebApplicationBuilder CreateBuilder(string[] args) => WebApplication.CreateBuilder(new WebApplicationOptions
    {
        Args = args,
        ApplicationName = "Phoenix.Service",
        ContentRootPath = AppContext.BaseDirectory,
    });
}
