using System.Globalization;
using System.Text.RegularExpressions;
using MatsObservability.Tests.Support;
using Phoenix.Service.Ingest.Forward;
using Phoenix.Service.Storage;
using YamlDotNet.RepresentationModel;

namespace MatsObservability.Tests.AgentObservability;

/// <summary>The configuration of the optional collector: the values that were asked for, in settings that a stock collector has.</summary>
[Trait("Req", "B040")]
public sealed partial class CollectorConfigTests
{
    /// <summary>Every setting that otelcol-contrib 0.142.0 reads in the components used here, by where it stands; * is any name.</summary>
    private static readonly Dictionary<string, string> s_settings = new(StringComparer.Ordinal)
    {
        [""] = "receivers processors exporters extensions connectors service",
        ["receivers"] = "otlp",
        ["receivers/otlp"] = "protocols",
        ["receivers/otlp/protocols"] = "grpc http",
        ["receivers/otlp/protocols/grpc"] = "endpoint transport tls max_recv_msg_size_mib max_concurrent_streams read_buffer_size write_buffer_size "
            + "keepalive auth include_metadata middlewares",
        ["receivers/otlp/protocols/http"] = "endpoint tls cors auth max_request_body_size include_metadata response_headers "
            + "compression_algorithms read_timeout read_header_timeout write_timeout idle_timeout middlewares keep_alives_enabled "
            + "traces_url_path metrics_url_path logs_url_path",
        ["receivers/otlp/protocols/http/cors"] = "allowed_origins allowed_headers max_age",
        ["processors"] = "memory_limiter resource attributes filter batch",
        ["processors/memory_limiter"] = "check_interval limit_mib spike_limit_mib limit_percentage spike_limit_percentage "
            + "min_gc_interval_when_soft_limited min_gc_interval_when_hard_limited",
        ["processors/resource"] = "attributes",
        ["processors/resource/attributes"] = "key value from_attribute from_context pattern converted_type action",
        ["processors/attributes"] = "actions include exclude",
        ["processors/attributes/actions"] = "key value from_attribute from_context pattern converted_type action",
        ["processors/filter"] = "error_mode spans metrics logs traces",
        ["processors/filter/traces"] = "span spanevent",
        ["processors/batch"] = "timeout send_batch_size send_batch_max_size metadata_keys metadata_cardinality_limit",
        ["exporters"] = "otlp",
        ["exporters/otlp"] = "endpoint compression tls keepalive read_buffer_size write_buffer_size wait_for_ready headers balancer_name "
            + "authority auth middlewares timeout retry_on_failure sending_queue",
        ["exporters/otlp/tls"] = "ca_file ca_pem include_system_ca_certs_pool cert_file cert_pem key_file key_pem min_version max_version "
            + "cipher_suites reload_interval curve_preferences tpm insecure insecure_skip_verify server_name_override",
        ["exporters/otlp/headers"] = "*",
        ["exporters/otlp/retry_on_failure"] = "enabled initial_interval randomization_factor multiplier max_interval max_elapsed_time",
        ["exporters/otlp/sending_queue"] = "enabled wait_for_result sizer queue_size block_on_overflow storage num_consumers batch",
        ["extensions"] = "health_check",
        ["extensions/health_check"] = "endpoint tls cors auth max_request_body_size include_metadata response_headers compression_algorithms "
            + "path response_body check_collector_pipeline",
        ["service"] = "extensions pipelines telemetry",
        ["service/pipelines"] = "traces metrics logs",
        ["service/pipelines/traces"] = "receivers processors exporters",
        ["service/pipelines/metrics"] = "receivers processors exporters",
        ["service/pipelines/logs"] = "receivers processors exporters",
        ["service/telemetry"] = "logs metrics traces resource",
        ["service/telemetry/metrics"] = "level readers views",
        ["service/telemetry/metrics/readers"] = "pull periodic",
        ["service/telemetry/metrics/readers/pull"] = "exporter",
        ["service/telemetry/metrics/readers/pull/exporter"] = "prometheus",
        ["service/telemetry/metrics/readers/pull/exporter/prometheus"] = "host port without_scope_info without_type_suffix without_units "
            + "with_resource_constant_labels",
    };

    private static string Text { get; } = File.ReadAllText(Path.Combine(Repository.Root, "agent-observability", "collector", "config.yaml"));

    [Fact]
    [Trait("Req", "A09")]
    public void Settings_AreThoseThatTheCollectorHas() => Assert.Empty(UnknownSettings(Text));

    [Theory]
    [InlineData("send_batch_size:", "send_batch_sizes:", "processors/batch/send_batch_sizes")]
    [InlineData("    timeout: 5s", "    resource: 5s", "processors/batch/resource")]
    [InlineData("  filter/probes:", "  sampler/probes:", "processors/sampler")]
    [InlineData("action: delete", "regex: delete", "processors/attributes/actions/regex")]
    [InlineData("  telemetry:", "  tracing:", "service/tracing")]
    public void Settings_ThatTheCollectorLacks_AreFound(string setting, string other, string found) =>
        Assert.Contains(found, UnknownSettings(Text.Replace(setting, other, StringComparison.Ordinal)));

    [Theory]
    [InlineData("receivers/otlp/protocols/grpc/endpoint", "0.0.0.0:4317")]
    [InlineData("receivers/otlp/protocols/grpc/max_recv_msg_size_mib", "4")]
    [InlineData("receivers/otlp/protocols/grpc/max_concurrent_streams", "16")]
    [InlineData("receivers/otlp/protocols/grpc/read_buffer_size", "524288")]
    [InlineData("receivers/otlp/protocols/grpc/write_buffer_size", "524288")]
    [InlineData("receivers/otlp/protocols/http/endpoint", "0.0.0.0:4318")]
    [InlineData("receivers/otlp/protocols/http/max_request_body_size", "4194304")]
    [InlineData("receivers/otlp/protocols/http/read_header_timeout", "5s")]
    [InlineData("receivers/otlp/protocols/http/read_timeout", "30s")]
    [InlineData("receivers/otlp/protocols/http/write_timeout", "30s")]
    [InlineData("receivers/otlp/protocols/http/idle_timeout", "60s")]
    [InlineData("receivers/otlp/protocols/http/cors/max_age", "7200")]
    [InlineData("receivers/otlp/protocols/http/cors/allowed_origins", "http://localhost:3000 http://localhost:3001 http://localhost:6006")]
    [InlineData("extensions/health_check/endpoint", "0.0.0.0:13133")]
    [InlineData("extensions/health_check/path", "/health")]
    [InlineData("processors/memory_limiter/limit_mib", "1638")]
    [InlineData("processors/memory_limiter/spike_limit_mib", "512")]
    [InlineData("processors/memory_limiter/check_interval", "1s")]
    [InlineData("processors/batch/timeout", "5s")]
    [InlineData("processors/batch/send_batch_size", "1024")]
    [InlineData("processors/batch/send_batch_max_size", "2048")]
    [InlineData("exporters/otlp/endpoint", "http://phoenix:4317")]
    [InlineData("exporters/otlp/headers/authorization", "Bearer none")]
    [InlineData("exporters/otlp/timeout", "30s")]
    [InlineData("exporters/otlp/retry_on_failure/enabled", "true")]
    [InlineData("exporters/otlp/retry_on_failure/initial_interval", "5s")]
    [InlineData("exporters/otlp/retry_on_failure/max_interval", "30s")]
    [InlineData("exporters/otlp/retry_on_failure/max_elapsed_time", "300s")]
    [InlineData("exporters/otlp/sending_queue/queue_size", "1000")]
    [InlineData("exporters/otlp/sending_queue/num_consumers", "4")]
    [InlineData("service/pipelines/traces/processors", "memory_limiter resource attributes/secrets filter/probes batch")]
    [InlineData("service/pipelines/metrics/processors", "memory_limiter resource batch")]
    [InlineData("service/pipelines/logs/processors", "memory_limiter resource attributes/secrets batch")]
    public void Value_WithoutVariables_IsTheOneAskedFor(string path, string value) => Assert.Equal(value, Value(path));

    [Fact]
    [Trait("Req", "B042")]
    [Trait("Req", "B047")]
    public void Exporter_TriesAsLongAsForwardingDoes()
    {
        var forward = new ForwardOptions();

        Assert.Equal(forward.RequestTimeout, Seconds("exporters/otlp/timeout"));
        Assert.Equal(forward.FirstRetryDelay, Seconds("exporters/otlp/retry_on_failure/initial_interval"));
        Assert.Equal(forward.LongestRetryDelay, Seconds("exporters/otlp/retry_on_failure/max_interval"));
        Assert.Equal(forward.RetryLimit, Seconds("exporters/otlp/retry_on_failure/max_elapsed_time"));
        Assert.Equal(forward.Connections, int.Parse(Value("exporters/otlp/sending_queue/num_consumers"), CultureInfo.InvariantCulture));
    }

    [Fact]
    [Trait("Req", "B041")]
    [Trait("Req", "B046")]
    public void Batch_HoldsAsManyAsTheWritersGroup() =>
        Assert.Equal(new StorageOptions().BatchRecords, int.Parse(Value("processors/batch/send_batch_size"), CultureInfo.InvariantCulture));

    [Fact]
    [Trait("Req", "B026")]
    public void MemoryLimiter_StaysBelowTheContainersLimit_AndAboveItsSpike()
    {
        var limit = int.Parse(Value("processors/memory_limiter/limit_mib"), CultureInfo.InvariantCulture);

        Assert.Equal(2048 * 80 / 100, limit);
        Assert.InRange(int.Parse(Value("processors/memory_limiter/spike_limit_mib"), CultureInfo.InvariantCulture), 1, limit - 1);
    }

    [Theory]
    [InlineData("llm.api_key")]
    [InlineData("user.token")]
    [InlineData("session.token")]
    [Trait("Req", "B131")]
    public void Secret_IsDeleted(string key) => Assert.Contains(
        Items("processors/attributes/secrets/actions"), action => $"{action["key"]}" == key && $"{action["action"]}" == "delete");

    [Fact]
    public void Resource_OfTheSender_KeepsWhatItSaysOfItself() => Assert.Equal(
        ["service.namespace", "deployment.environment"],
        Items("processors/resource/attributes").Select(attribute => $"{attribute["key"]}"));

    [Fact]
    [Trait("Req", "B043")]
    public void Pipelines_NameWhatIsDefined_LimiterFirstAndBatchLast()
    {
        var used = new HashSet<string>(StringComparer.Ordinal);
        foreach (var signal in new[] { "traces", "metrics", "logs" })
        {
            foreach (var part in new[] { "receivers", "processors", "exporters" })
            {
                var names = Value($"service/pipelines/{signal}/{part}").Split(' ');
                Assert.All(names, name => Assert.Contains(name, Names(part)));
                used.UnionWith(names.Select(name => $"{part}/{name}"));
            }

            var processors = Value($"service/pipelines/{signal}/processors").Split(' ');
            Assert.Equal(("memory_limiter", "batch"), (processors[0], processors[^1]));
        }

        Assert.Equal(["health_check"], Value("service/extensions").Split(' '));
        Assert.Equal(
            new[] { "receivers", "processors", "exporters" }.SelectMany(part => Names(part).Select(name => $"{part}/{name}"))
                .Order(StringComparer.Ordinal),
            used.Order(StringComparer.Ordinal));

        static IEnumerable<string> Names(string part) => Mapping(part).Children.Keys.Select(name => $"{name}");
    }

    [Fact]
    public void Variables_HaveDefaults_AndAreDescribed()
    {
        var document = File.ReadAllText(Path.Combine(Repository.Root, "docs", "collector.md"));
        var variables = Variable().Matches(Text);

        Assert.Equal(Text.Split("${").Length - 1, variables.Count);
        Assert.All(variables, variable => Assert.Contains($"`{variable.Groups["name"].Value}`", document, StringComparison.Ordinal));
    }

    /// <summary>Paths of settings outside of <see cref="s_settings"/>; a component's own name (behind the slash) is left out of them.</summary>
    private static List<string> UnknownSettings(string yaml)
    {
        var found = new List<string>();
        Look("", Root(yaml));
        return found;

        void Look(string path, YamlNode node)
        {
            foreach (var item in (node as YamlSequenceNode)?.Children ?? [])
            {
                Look(path, item);
            }

            foreach (var (key, value) in (node as YamlMappingNode)?.ToArray() ?? [])
            {
                var name = path is "receivers" or "processors" or "exporters" or "extensions" ? $"{key}".Split('/')[0] : $"{key}";
                var inside = path.Length == 0 ? name : $"{path}/{name}";
                if (s_settings.TryGetValue(path, out var known) && (known == "*" || known.Split(' ').Contains(name)))
                {
                    Look(inside, value);
                }
                else
                {
                    found.Add(inside);
                }
            }
        }
    }

    private static YamlMappingNode Root(string yaml)
    {
        var stream = new YamlStream();
        stream.Load(new StringReader(yaml));
        return (YamlMappingNode)stream.Documents[0].RootNode;
    }

    /// <summary>The node at a path; the name of a component may hold a slash itself.</summary>
    private static YamlNode Find(YamlNode node, string path)
    {
        if (path.Length == 0)
        {
            return node;
        }

        var (key, value) = ((YamlMappingNode)node).Children
            .First(child => (path + "/").StartsWith($"{child.Key}/", StringComparison.Ordinal));
        return Find(value, path[Math.Min(path.Length, $"{key}/".Length)..]);
    }

    private static YamlMappingNode Mapping(string path) => (YamlMappingNode)Find(Root(Text), path);

    private static IEnumerable<YamlMappingNode> Items(string path) => ((YamlSequenceNode)Find(Root(Text), path)).OfType<YamlMappingNode>();

    /// <summary>A scalar, or the items of a list with spaces between them; variables are as if they were not set.</summary>
    private static string Value(string path) =>
        Variable().Replace(
            Find(Root(Text), path) is YamlSequenceNode list ? string.Join(' ', list) : Find(Root(Text), path).ToString(), "${value}");

    private static TimeSpan Seconds(string path) => TimeSpan.FromSeconds(int.Parse(Value(path).TrimEnd('s'), CultureInfo.InvariantCulture));

    [GeneratedRegex(@"\$\{env:(?<name>[A-Z_]+):-(?<value>[^}]*)\}", RegexOptions.ExplicitCapture, 5000)]
    private static partial Regex Variable();
}
