using MatsObservability.ServiceDefaults;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.Options;
using Phoenix.Service.Configuration;
using Phoenix.Service.Metrics;

namespace Phoenix.Service.Listening;

/// <summary>
/// The four doors of the service; an endpoint says with <see cref="ListenerEndpoints.OnListeners"/> behind which it stands.
/// </summary>
[Flags]
internal enum Listeners
{
    /// <summary>6006: UI, REST, OTLP/HTTP. Endpoints that say nothing stand here.</summary>
    Http = 1,

    /// <summary>4317: OTLP/gRPC.</summary>
    Grpc = 2,

    /// <summary>4318: OTLP/HTTP.</summary>
    Otlp = 4,

    /// <summary>6007: Prometheus metrics.</summary>
    Metrics = 8,
}

/// <summary>Kestrel's four listeners and the middleware every request passes first.</summary>
internal static class ListenerEndpoints
{
    /// <summary>The Phoenix version whose wire contract is spoken; its clients refuse less than 20.0.0.</summary>
    public const string PhoenixVersion = "20.3.0";

    /// <summary>This service's own version.</summary>
    public static readonly string OwnVersion = typeof(ListenerEndpoints).Assembly.GetName().Version!.ToString(3);

    private static readonly Listeners[] s_order = [Listeners.Http, Listeners.Grpc, Listeners.Otlp, Listeners.Metrics];

    /// <summary>Binds the listeners of <see cref="ListenOptions"/>.</summary>
    public static void AddListeners(this WebApplicationBuilder builder)
    {
        builder.Services.AddSingleton<FatalFault>();
        builder.Services.AddValidatedOptions<ListenOptions>(ListenOptions.Section, ListenOptions.Check);
        builder.Services.AddValidatedOptions<TlsOptions>(TlsOptions.Section, TlsOptions.Check);
        builder.Services.AddSingleton<TlsCertificates>();
        builder.Services.AddSingleton<IMetricSource>(static services => services.GetRequiredService<TlsCertificates>());
        builder.Services.AddSingleton<IConfigureOptions<KestrelServerOptions>, ConfigureKestrel>();
        builder.Services.AddSingleton<IMemoryPoolFactory<byte>, LargeBlocks>();
        builder.Services.AddCors();
        builder.WebHost.UseSetting(WebHostDefaults.ServerUrlsKey, "");
        builder.WebHost.UseSetting(WebHostDefaults.PreferHostingUrlsKey, "false");
    }

    /// <summary>Version headers, cross-origin answers, path prefix, and each listener to its own endpoints.</summary>
    public static void UseListeners(this WebApplication app)
    {
        var options = app.Services.GetRequiredService<IOptions<ListenOptions>>().Value;
        app.Use((context, next) =>
        {
            context.Response.OnStarting(static state =>
            {
                var headers = ((HttpResponse)state).Headers;
                headers["x-phoenix-server-version"] = PhoenixVersion;
                headers["x-mats-observability-version"] = OwnVersion;
                return Task.CompletedTask;
            }, context.Response);
            return next(context);
        });
        if (options.HostRootPath.Length > 0)
        {
            app.UsePathBase(options.HostRootPath);
        }

        app.UseRouting();
        if (options.CorsEnabled && options.CorsOrigins.Length > 0)
        {
            app.UseCors(policy => policy.WithOrigins(options.CorsOrigins).AllowAnyHeader().AllowAnyMethod()
                .WithExposedHeaders("x-phoenix-server-version", "Retry-After").SetPreflightMaxAge(TimeSpan.FromSeconds(7200)));
        }

        app.Use((context, next) =>
        {
            var listener = context.Listener();

            // Every path behind the gRPC door belongs to its one handler, which the ingest path maps.
            if (listener == Listeners.Grpc)
            {
                context.SetEndpoint(null);
                return next(context);
            }

            // An endpoint that is no route is routing's own answer to a wrong method.
            var endpoint = context.GetEndpoint();
            if (endpoint is null ? listener != Listeners.Otlp : endpoint is not RouteEndpoint || IsBehind(endpoint, listener))
            {
                return next(context);
            }

            context.Response.StatusCode = StatusCodes.Status404NotFound;
            context.Response.ContentType = "text/plain";
            return context.Response.WriteAsync(listener == Listeners.Otlp
                ? "This port takes OTLP/HTTP: POST to /v1/traces, /v1/logs or /v1/metrics."
                : "This port does not have that.");
        });
    }

    /// <summary>Puts endpoints behind <paramref name="listeners"/> instead of the HTTP port alone.</summary>
    public static TBuilder OnListeners<TBuilder>(this TBuilder builder, Listeners listeners)
        where TBuilder : IEndpointConventionBuilder
    {
        builder.Add(endpoint => endpoint.Metadata.Add(new ListenersMetadata(listeners)));
        return builder;
    }

    /// <summary>
    /// The listener through which a request came; a connection made by nobody's listener (in-memory tests) counts as HTTP.
    /// </summary>
    public static Listeners Listener(this HttpContext context) =>
        context.Features.Get<IConnectionItemsFeature>()?.Items.TryGetValue(typeof(Listeners), out var listener) == true
            ? (Listeners)listener!
            : Listeners.Http;

    /// <summary>The address a listener really got, such as http://127.0.0.1:40123; valid once the application has started.</summary>
    public static string AddressOf(this WebApplication app, Listeners listener)
    {
        var addresses = ((IApplicationBuilder)app).ServerFeatures.Get<IServerAddressesFeature>()!.Addresses;
        return addresses.ElementAt(Array.IndexOf(s_order, listener));
    }

    private static bool IsBehind(Endpoint endpoint, Listeners listener) =>
        (endpoint.Metadata.GetMetadata<ListenersMetadata>()?.Listeners ?? Listeners.Http).HasFlag(listener);

    private sealed record ListenersMetadata(Listeners Listeners);

    private sealed class ConfigureKestrel(IOptions<ListenOptions> options, IOptions<TlsOptions> tls, TlsCertificates certificates)
        : IConfigureOptions<KestrelServerOptions>
    {
        public void Configure(KestrelServerOptions kestrel)
        {
            var listen = options.Value;
            kestrel.AddServerHeader = false;
            var limits = kestrel.Limits;
            limits.RequestHeadersTimeout = listen.HeaderTimeout;
            limits.KeepAliveTimeout = listen.IdleTimeout;
            limits.MinRequestBodyDataRate = new MinDataRate(listen.MinBodyBytesPerSecond, listen.BodyGracePeriod);
            limits.MaxConcurrentConnections = listen.MaxConnections;
            // A whole export of the usual size fits a stream's window, so a sender never waits for a window update within one request.
            limits.Http2.InitialStreamWindowSize = 2 * 1024 * 1024;
            limits.Http2.InitialConnectionWindowSize = 8 * 1024 * 1024;
            limits.Http2.MaxFrameSize = 256 * 1024;
            foreach (var listener in s_order)
            {
                var port = listener switch
                {
                    Listeners.Http => listen.Port,
                    Listeners.Grpc => listen.GrpcPort,
                    Listeners.Otlp => listen.OtlpHttpPort,
                    _ => listen.MetricsPort,
                };
                kestrel.Listen(listen.Address!, port, endpoint =>
                {
                    var encrypted = tls.Value.IsOn(listener);
                    // Without TLS there is no negotiation: one port speaks one protocol.
                    endpoint.Protocols = listener == Listeners.Grpc
                        ? HttpProtocols.Http2
                        : encrypted ? HttpProtocols.Http1AndHttp2 : HttpProtocols.Http1;
                    if (encrypted)
                    {
                        certificates.Start();
                        endpoint.UseHttps(new TlsHandshakeCallbackOptions
                        {
                            HandshakeTimeout = listen.HeaderTimeout,
                            OnConnection = _ => ValueTask.FromResult(certificates.Terms()),
                        });
                    }

                    endpoint.Use(next => connection =>
                    {
                        connection.Items[typeof(Listeners)] = listener;
                        return next(connection);
                    });
                });
            }
        }
    }
}
