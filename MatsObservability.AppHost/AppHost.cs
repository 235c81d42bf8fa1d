using MatsObservability.AppHost;

var builder = DistributedApplication.CreateBuilder(args);
var settings = new Settings(args, builder.Configuration);
if (settings.Faults().ToList() is { Count: > 0 } faults)
{
    faults.ForEach(Console.Error.WriteLine);
    return 1;
}

var postgres = builder.AddPostgres("postgres").WithImageTag("18.3").WithDataVolume("phoenix-pgdata");
var phoenixdb = postgres.AddDatabase("phoenixdb");

var phoenix = builder.AddProject<Projects.Phoenix_Service>("phoenix", launchProfileName: null)
    .WithHttpEndpoint(port: settings.Port("phoenix-http", 6006), name: "http", env: "PHOENIX_PORT", isProxied: false)
    .WithHttpEndpoint(port: settings.Port("phoenix-otlp-grpc", 4317), name: "otlp-grpc", env: "PHOENIX_GRPC_PORT", isProxied: false)
    .WithHttpEndpoint(port: settings.Port("phoenix-otlp-http", 4318), name: "otlp-http", env: "PHOENIX_OTLP_HTTP_PORT", isProxied: false)
    .WithEndpoint("otlp-grpc", endpoint => endpoint.Transport = "http2")
    .WithExternalHttpEndpoints() // those above; the metrics stay inside
    .WithHttpEndpoint(port: settings.Port("phoenix-metrics", 6007), name: "metrics", env: "PHOENIX_METRICS_PORT", isProxied: false)
    .WithReference(phoenixdb).WaitFor(phoenixdb)
    .WithHttpHealthCheck("/readyz");

var orchestrator = builder.AddProject<Projects.Orchestrator_Agent>("orchestrator")
    .WithEndpoint("http", endpoint => endpoint.Port = settings.Port("orchestrator-http", endpoint.Port), createIfNotExists: false)
    .WithReference(phoenix.GetEndpoint("http"))
    .WithReference(phoenixdb)
    .WithEnvironment("OTEL_EXPORTER_OTLP_ENDPOINT", phoenix.GetEndpoint("otlp-grpc"))
    .WithExternalHttpEndpoints()
    .WithHttpHealthCheck("/readyz")
    .WaitFor(phoenix);

// Optional: a collector, which has the OTLP ports of the host then.
var collector = settings.Collector ? builder.AddCollector(phoenix, settings.Port) : null;

// Optional: an incident to look at, sent and asked about once everything runs.
var demo = builder.ExecutionContext.IsRunMode && settings.Demo
    ? builder.AddProject<Projects.MatsObservability_Benchmarks>("demo", launchProfileName: null)
        .WithArgs("demo")
        .WithReference(phoenix)
        .WithReference(orchestrator)
        .WaitFor(orchestrator)
    : null;

// Options, by Parameters:… or environment: a language model, without which the diagnosis is made by rules, and the key to a Phoenix.Service
// that asks for one.
foreach (var (option, secret) in new[]
    { ("openai-api-key", true), ("openai-base-url", false), ("openai-model", false), ("phoenix-api-key", true) })
{
    var variable = option.ToUpperInvariant().Replace('-', '_');
    if (builder.Configuration[$"Parameters:{option}"] is { Length: > 0 } || builder.Configuration[variable] is { Length: > 0 })
    {
        var value = builder.AddParameter(
            option, () => builder.Configuration[$"Parameters:{option}"] ?? builder.Configuration[variable]!, secret: secret);
        orchestrator.WithEnvironment(variable, value);
        if (option == "phoenix-api-key")
        {
            collector?.WithEnvironment(variable, value);
            demo?.WithEnvironment(variable, value);
        }
    }
}

if (builder.ExecutionContext.IsRunMode)
{
    // Without a launch profile nothing hands the environment on.
    phoenix.WithEnvironment("ASPNETCORE_ENVIRONMENT", builder.Environment.EnvironmentName);

    // A stop of everything takes 10 s at most: what is queued is stored or answered before the kill, which comes after 4 s.
    phoenix.WithEnvironment("Phoenix__Storage__DrainTimeout", builder.Configuration["Phoenix:Storage:DrainTimeout"] ?? "00:00:02");

    // Links in an analysis lead to where people reach the orchestrator, not to the port behind the relay.
    orchestrator.WithEnvironment("Mats__PublicUrl", orchestrator.GetEndpoint("http"));
}

builder.Build().Run();
return Environment.ExitCode; // set by a run that failed
