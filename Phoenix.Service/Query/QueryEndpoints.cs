using MatsObservability.ServiceDefaults;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Extensions.Options;
using Phoenix.Service.Query.Export;
using Phoenix.Service.Query.Http;
using Phoenix.Service.Query.Logs;
using Phoenix.Service.Query.Projects;
using Phoenix.Service.Query.Series;
using Phoenix.Service.Query.Sessions;
using Phoenix.Service.Query.Spans;
using Phoenix.Service.Query.Traces;
using Phoenix.Service.Query.Vectors;
using Phoenix.Service.Security;
using Phoenix.Service.Storage.Postgres.Readers;
using Phoenix.Service.Storage.Postgres.Rollups;

namespace Phoenix.Service.Query;

/// <summary>Everything that reads: the readers, and the REST routes over them.</summary>
internal static class QueryEndpoints
{
    /// <summary>Longest body of a route that does not say otherwise: most take a few names.</summary>
    private const int MostBodyBytes = 1024 * 1024;

    /// <summary>Registers the readers, and the roll-ups that lists read.</summary>
    public static void AddQuery(this IHostApplicationBuilder builder)
    {
        builder.Services.AddValidatedOptions<ReadLimits>(ReadLimits.Section, ReadLimits.Check);
        builder.Services.AddSingleton(services => services.GetRequiredService<IOptions<ReadLimits>>().Value);
        builder.Services.AddSingleton<ProjectReader>();
        builder.Services.AddSingleton<ProjectEditor>();
        builder.Services.AddSingleton<InternReader>();
        builder.Services.AddSingleton<TraceRanges>();
        builder.Services.AddSingleton<LoggedMessages>();
        builder.Services.AddSingleton<SpanReader>();
        builder.Services.AddSingleton<TraceReader>();
        builder.Services.AddSingleton<SessionReader>();
        builder.Services.AddSingleton<LogReader>();
        builder.Services.AddSingleton<MetricReader>();
        builder.Services.AddSingleton<ExportStream>();
        builder.Services.AddSingleton<TelemetryRemover>();
        builder.Services.AddSingleton<RollupDeltas>();
        builder.Services.AddSingleton<RollupCatchUp>();
        builder.Services.AddHostedService<RollupWorker>();
    }

    /// <summary>Maps the REST routes.</summary>
    public static void MapQuery(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup(string.Empty).AddEndpointFilter<DatabaseFaultFilter>().NeedsByMethod()
            .WithMetadata(new RequestSizeLimitAttribute(MostBodyBytes));
        group.MapProjects();
        group.MapSpans();
        group.MapTraces();
        group.MapSessions();
        group.MapLogs();
        group.MapSeries();
        group.MapExport();
        group.MapVectors();
    }
}
