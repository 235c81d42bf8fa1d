using MatsObservability.ServiceDefaults;
using Phoenix.Service.Ingest.Decode;
using Phoenix.Service.Ingest.Enqueue;
using Phoenix.Service.Ingest.Forward;
using Phoenix.Service.Ingest.Receive;
using Phoenix.Service.Listening;
using Phoenix.Service.Security;
using Phoenix.Service.Storage;

namespace Phoenix.Service.Ingest;

/// <summary>Registration and routes of the ingest path.</summary>
internal static class IngestServices
{
    /// <summary>Pipeline, decoders, queue and the writers behind it.</summary>
    public static void AddIngest(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddValidatedOptions<IngestOptions>(IngestOptions.Section, IngestOptions.Check);
        services.AddSingleton<ProjectLookup>(provider => provider.GetRequiredService<ProjectDirectory>().TryGetId);
        services.AddDecode();
        services.AddSingleton<Decoders>();
        services.AddSingleton<MemoryLimiter>();
        services.AddHostedService(provider => provider.GetRequiredService<MemoryLimiter>());
        services.AddSingleton<IngestQueue>();
        builder.AddForward();
        services.AddSingleton<IngestPipeline>();
        services.AddHostedService(provider =>
        {
            var queue = provider.GetRequiredService<IngestQueue>();
            return ActivatorUtilities.CreateInstance<SpanBatchWriter>(provider, queue.Reader, (Action)queue.Complete);
        });
    }

    /// <summary>OTLP/HTTP routes on both HTTP listeners, and OTLP/gRPC for everything that comes in through its own.</summary>
    public static void MapIngest(this WebApplication app)
    {
        var pipeline = app.Services.GetRequiredService<IngestPipeline>();
        foreach (var (path, signal) in new[] { ("/v1/traces", Signal.Spans), ("/v1/logs", Signal.Logs),
            ("/v1/metrics", Signal.MetricPoints) })
        {
            app.MapPost(path, context => HttpReceiver.HandleAsync(context, pipeline, signal)).OnListeners(Listeners.Http | Listeners.Otlp)
                .Needs(Access.Write);
        }

        app.MapWhen(context => context.Listener() == Listeners.Grpc,
            grpc => grpc.Run(context => GrpcReceiver.HandleAsync(context, pipeline)));
    }
}
