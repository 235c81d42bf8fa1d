using Microsoft.AspNetCore.Components;
using Microsoft.Extensions.Options;
using Phoenix.Service.Security;

namespace Phoenix.Service.Ui.Components;

/// <summary>How to send the first trace, with this server's own address filled in.</summary>
public partial class FirstTrace
{
    /// <summary>The project the trace should land in; null = a name of the reader's choice.</summary>
    [Parameter]
    public string? Project { get; set; }

    [Inject]
    private NavigationManager Navigation { get; set; } = null!;

    [Inject]
    private IOptions<AuthOptions> Auth { get; set; } = null!;

    private IReadOnlyList<(string Title, string Text)> Snippets { get; set; } = [];

    /// <inheritdoc/>
    protected override void OnParametersSet()
    {
        var server = Navigation.BaseUri.TrimEnd('/');
        var project = Project ?? "my-agent";
        string WithKey(string text) => Auth.Value.Enabled ? text : "";
        Snippets =
        [
            ("curl: one span, right now", $$$"""
                NOW=$(date +%s)
                curl {{{server}}}/v1/traces -H 'Content-Type: application/json'{{{WithKey(" -H \"Authorization: Bearer $PHOENIX_API_KEY\"")}}} -d '{"resourceSpans":[{
                  "resource":{"attributes":[{"key":"service.name","value":{"stringValue":"hello"}},
                    {"key":"openinference.project.name","value":{"stringValue":"{{{project}}}"}}]},
                  "scopeSpans":[{"spans":[{"traceId":"'$(openssl rand -hex 16)'","spanId":"'$(openssl rand -hex 8)'","name":"hello","kind":1,
                    "startTimeUnixNano":"'$NOW'000000000","endTimeUnixNano":"'$NOW'250000000"}]}]}]}'
                """),
            (".NET", $$"""
                // dotnet add package OpenTelemetry.Exporter.OpenTelemetryProtocol
                using OpenTelemetry;
                using OpenTelemetry.Exporter;
                using OpenTelemetry.Resources;
                using OpenTelemetry.Trace;

                using var tracing = Sdk.CreateTracerProviderBuilder()
                    .ConfigureResource(resource => resource.AddService("my-service")
                        .AddAttributes([new("openinference.project.name", "{{project}}")]))
                    .AddSource("*")
                    .AddOtlpExporter(otlp =>
                    {
                        otlp.Endpoint = new Uri("{{server}}/v1/traces");
                        otlp.Protocol = OtlpExportProtocol.HttpProtobuf;{{WithKey("\n        otlp.Headers = \"authorization=Bearer \" + Environment.GetEnvironmentVariable(\"PHOENIX_API_KEY\");")}}
                    })
                    .Build();
                """),
            ("Python", $"""
                # pip install arize-phoenix-otel{WithKey("; reads the key from PHOENIX_API_KEY")}
                from phoenix.otel import register

                tracer_provider = register(
                    project_name="{project}",
                    endpoint="{server}/v1/traces",
                    auto_instrument=True,
                )
                """),
            ("JavaScript", $$"""
                // npm install @arizeai/phoenix-otel{{WithKey("; reads the key from PHOENIX_API_KEY")}}
                import { register } from "@arizeai/phoenix-otel";

                register({ projectName: "{{project}}", url: "{{server}}" });
                """),
            ("Any exporter, by environment", $"""
                OTEL_EXPORTER_OTLP_ENDPOINT={server}
                OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf{WithKey("\nOTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20<API key>")}
                OTEL_SERVICE_NAME=my-service
                OTEL_RESOURCE_ATTRIBUTES=openinference.project.name={project}
                """),
        ];
    }
}
