using System.Diagnostics;
using MatsObservability.ServiceDefaults;
using MatsObservability.Tests.Support;
using Phoenix.Service.Configuration;

namespace MatsObservability.Tests.Conformance;

/// <summary>Every setting of every options class with bad values: a new one without a rule fails here.</summary>
[Trait("Req", "B043")]
[Trait("Req", "M23")]
public sealed class SettingTests
{
    private const string Secret = "s3cret-1";

    /// <summary>Ways in which a value that is no text can be wrong.</summary>
    public enum Wrong
    {
        Unreadable,
        OutsideItsType,
        Negative,
        Zero,
        Huge,
        NotANumber,
    }

    /// <summary>Texts that are wrong for the settings that hold texts; several settings of a name have the same.</summary>
    private static readonly Dictionary<string, string> s_badTexts = new(StringComparer.Ordinal)
    {
        ["Phoenix:Auth:Secret"] = Secret,
        ["Phoenix:Auth:SecretFile"] = "/nowhere/secret",
        ["Phoenix:Auth:AdminSecret"] = Secret,
        ["Phoenix:Auth:InitialAdminPassword"] = "s3",
        ["Phoenix:Auth:CookiesPath"] = "ui",
        ["Phoenix:Auth:TrustedOrigins"] = "https://good.example,localhost:3000",
        ["Phoenix:Storage:Schema"] = "No Schema",
        ["Phoenix:Storage:IndexedAttributes"] = "user.id,user id",
        ["Phoenix:Normalize:ProjectSampleRates"] = "shop=0.5,shop=2",
        ["Phoenix:Normalize:ServiceSampleRates"] = "shop",
        ["Phoenix:Normalize:FilterPaths"] = "health",
        ["Phoenix:Normalize:SessionRulesFile"] = "/nowhere/session-rules.json",
        ["Phoenix:Redaction:Rules"] = "forget *",
        ["Phoenix:Cost:PricesFile"] = "/nowhere/prices.json",
        ["Phoenix:Forward:Endpoint"] = $"https://ada:{Secret}@collector:4318",
        ["Phoenix:Forward:Headers"] = Secret,
        ["Phoenix:Forward:Signals"] = "traces,events",
        ["Phoenix:Server:Host"] = "no such host",
        ["Phoenix:Server:HostRootPath"] = "phoenix/",
        ["Phoenix:Server:CorsOrigins"] = "localhost:3000",
        ["Phoenix:Tls:CertFile"] = "/nowhere/cert.pem",
        ["Phoenix:Tls:KeyFile"] = "/nowhere/key.pem",
        ["Phoenix:Tls:CaFile"] = "/nowhere/ca.pem",
        ["Phoenix:Retention:ProjectDays"] = "shop=-1",
        ["Mats:PhoenixUrl"] = $"ftp://ada:{Secret}@phoenix",
        ["Mats:PhoenixCaFile"] = "/nowhere/ca.pem",
        ["Mats:PublicUrl"] = "mats.example",
        ["Mats:RepositoryCache"] = typeof(SettingTests).Assembly.Location,
        ["Mats:RepositoryRoots"] = "src/code",
        ["Mats:Roles:entry"] = "emperor",
        ["Mats:Tokens:0:User"] = " ",
        ["Mats:Tokens:0:Token"] = Secret,
        ["Mats:AgentToken"] = $"{Secret}\n{Secret}",
        ["Llm:ApiKey"] = $"{Secret}\n{Secret}",
        ["Llm:BaseUrl"] = "api.example/v1",
        ["Mcp:Servers:0:Id"] = "a b",
        ["Mcp:Servers:0:Url"] = "runbooks",
        ["Mcp:Servers:0:Token"] = $"{Secret}\n{Secret}",
        ["Mcp:Servers:0:Agents"] = "remediation",
        ["Remediation:Commands:0:Program"] = "kubectl",
        ["Remediation:Commands:0:Arguments"] = "(",
        ["Remediation:Commands:0:Proposal"] = "a,b,c",
        ["Remediation:Targets"] = "shop",
    };

    /// <summary>Settings that take any text, and why.</summary>
    private static readonly Dictionary<string, string> s_anyText = new(StringComparer.Ordinal)
    {
        ["Phoenix:Ingest:DefaultProject"] = "a project may have any name",
        ["Phoenix:Normalize:ExclusiveCacheScopes"] = "a scope may have any name",
        ["Phoenix:Redaction:HashSalt"] = "any salt is one",
        ["Phoenix:Tls:KeyFilePassword"] = "whether it opens the key is told of the key file (TlsTests)",
        ["Telemetry:ProjectName"] = "a project may have any name",
        ["Telemetry:Sources"] = "a source may have any name",
        ["Telemetry:Meters"] = "a meter may have any name",
        ["Telemetry:UntracedPaths"] = "a path that no request has only matches none",
        ["Aspire:Npgsql:ConnectionString"] = "ConnectionStrings:phoenixdb wins",
        ["Mats:OwnProject"] = "a project may have any name",
        ["Llm:Model"] = "what models an endpoint has, it alone knows",
        ["Llm:Provider"] = "only shown and priced by",
        ["Llm:Fallbacks"] = "what models an endpoint has, it alone knows",
        ["Mcp:Servers:0:Tools"] = "what tools a server has, it alone knows",
        ["Remediation:Commands:0:Rollback"] = "arguments of somebody else's program",
        ["Remediation:Commands:0:DryRun"] = "arguments of somebody else's program",
        ["Remediation:Commands:0:FaultTypes"] = "remote agents name further ones",
    };

    /// <summary>Settings for which 0 is a value, and what it means.</summary>
    private static readonly Dictionary<string, string> s_zeroIsMeant = new(StringComparer.Ordinal)
    {
        ["Phoenix:Auth:RevocationDelay"] = "the database is asked at every request",
        ["Phoenix:Storage:Linger"] = "no waiting for company",
        ["Phoenix:Storage:DrainTimeout"] = "no draining",
        ["Phoenix:Query:ScanBudget"] = "a list ends after its first step",
        ["Phoenix:Ingest:MemoryLimitBytes"] = "three quarters of the machine",
        ["Phoenix:Normalize:SampleRate"] = "nothing is kept",
        ["Phoenix:Forward:RetryLimit"] = "one attempt",
        ["Phoenix:Forward:DrainTimeout"] = "no draining",
        ["Phoenix:Server:Port"] = "any free port",
        ["Phoenix:Server:GrpcPort"] = "any free port",
        ["Phoenix:Server:OtlpHttpPort"] = "any free port",
        ["Phoenix:Server:MetricsPort"] = "any free port",
        ["Phoenix:TailSampling:Ratio"] = "no unremarkable trace is kept",
        ["Phoenix:TailSampling:CostAboveUsd"] = "every trace that cost anything is kept",
        ["Phoenix:TailSampling:LongerThan"] = "every trace is kept",
        ["Phoenix:Retention:Days"] = "for ever",
        ["Phoenix:Retention:LateDays"] = "imports are removed at once",
        ["HttpResilience:MaxRetries"] = "one attempt",
        ["HttpResilience:RetryDelay"] = "at once",
        ["Mats:PhoenixPatience"] = "no waiting",
        ["Mats:RetriesPerAgent"] = "no second attempt",
        ["Mats:RetentionDays"] = "for ever",
        ["Llm:RetryDelay"] = "at once",
        ["Llm:MaxCostUsd"] = "nothing may be spent",
        ["Llm:MaxCalls"] = "no call",
        ["Llm:PromptPricePerMillion"] = "a model of one's own",
        ["Llm:CompletionPricePerMillion"] = "a model of one's own",
        ["Llm:MaxSteps"] = "no look around",
        ["Remediation:ValidationPatience"] = "one look",
    };

    public static TheoryData<ServiceName, Wrong> Cases
    {
        get
        {
            var cases = new TheoryData<ServiceName, Wrong>();
            foreach (var wrong in Enum.GetValues<Wrong>())
            {
                cases.Add(ServiceName.Phoenix, wrong);
                cases.Add(ServiceName.Orchestrator, wrong);
            }

            return cases;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Start_EveryValueWrongInOneWay_IsRefusedNamingEachKeyAtOnce(ServiceName service, Wrong wrong)
    {
        var settings = Setting.Of(service).Select(setting => (setting, value: WrongValue(wrong, setting.Type)))
            .Where(pair => pair.value is not null).ToList();
        var allowed = wrong == Wrong.Zero ? s_zeroIsMeant : [];

        var faults = Setting.Faults(service, settings.Select(pair => (pair.setting.Path, pair.value!)));

        Assert.Equal(
            settings.Select(pair => pair.setting.Path).Where(path => !allowed.ContainsKey(path)).Order(StringComparer.Ordinal),
            settings.Select(pair => pair.setting).Where(setting => faults.Any(setting.IsNamedBy)).Select(setting => setting.Path)
                .Order(StringComparer.Ordinal));
        Assert.All(faults, fault => Assert.Contains(settings, pair => pair.setting.IsNamedBy(fault)));
    }

    [Theory]
    [InlineData(ServiceName.Phoenix)]
    [InlineData(ServiceName.Orchestrator)]
    public void Start_EveryTextWrong_IsRefusedNamingEachKeyAtOnceWithoutASecret(ServiceName service)
    {
        var texts = Setting.Of(service).Where(setting => setting.Type == typeof(string) || setting.Type == typeof(string[])).ToList();
        Assert.All(texts, setting => Assert.True(s_badTexts.ContainsKey(setting.Path) ^ s_anyText.ContainsKey(setting.Path), setting.Path));
        var bad = texts.Where(setting => s_badTexts.ContainsKey(setting.Path)).ToList();

        // Once more without the file that stands in for the secret.
        var faults = Setting.Faults(service, [.. Switches(service), .. bad.Select(setting => (setting.Path, s_badTexts[setting.Path]))])
            .Concat(Setting.Faults(service, [("Phoenix:Auth:Enabled", "true"), ("Phoenix:Auth:Secret", Secret)])).ToList();

        Assert.All(bad, setting => Assert.Contains(faults, setting.IsNamedBy));
        Assert.All(faults, fault => Assert.DoesNotContain(Secret, fault, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("Phoenix:Storage:BatchRecords", "2048", "Phoenix:Storage:MaxBatchRecords", "1024")]
    [InlineData("Phoenix:Auth:RefreshTokenMinutes", "10", "Phoenix:Auth:AccessTokenMinutes", "10")]
    [InlineData("Phoenix:Forward:LongestRetryDelay", "1s", "Phoenix:Forward:FirstRetryDelay", "2s")]
    [InlineData("Phoenix:Server:GrpcPort", "7001", "Phoenix:Server:Port", "7001")]
    [InlineData("HttpResilience:TotalTimeout", "5s", "HttpResilience:AttemptTimeout", "10s")]
    public void Start_ValuesThatContradictEachOther_AreRefused(string path, string value, string otherPath, string otherValue)
    {
        var fault = Assert.Single(Setting.Faults(ServiceName.Phoenix, [(path, value), (otherPath, otherValue)]));

        Assert.StartsWith(path, fault, StringComparison.Ordinal);
    }

    [Fact]
    public void Start_EveryVariableOfBothVocabularies_IsNamedAsItWasWritten()
    {
        var types = Setting.Of(ServiceName.Phoenix).ToDictionary(setting => setting.Path, setting => setting.Type, StringComparer.Ordinal);
        var variables = EnvironmentAliases.Table.Where(entry => !s_anyText.ContainsKey(entry.Key)).ToList();
        for (var vocabulary = 0; vocabulary < variables.Max(entry => entry.Variables.Length); vocabulary++)
        {
            var given = variables.Where(entry => entry.Variables.Length > vocabulary).Select(entry =>
                (Name: $"PHOENIX_{entry.Variables[vocabulary]}", Value: BadValue(entry.Key))).ToList();

            // Once with the switches themselves wrong, once with what stands behind them.
            var faults = Setting.Faults(ServiceName.Phoenix, given)
                .Concat(Setting.Faults(ServiceName.Phoenix, [.. given, .. Switches(ServiceName.Phoenix)])).ToList();

            Assert.All(
                given, variable => Assert.Contains(faults, fault => fault.Contains(variable.Name, StringComparison.Ordinal)));
        }

        string BadValue(string key) => s_badTexts.GetValueOrDefault(key)
            ?? (types.TryGetValue(key, out var type) ? WrongValue(Wrong.Unreadable, type)! : "loud");
    }

    [Theory]
    [InlineData(ServiceName.Orchestrator, "SRE_AGENT_URL", "sre:8081")]
    [InlineData(ServiceName.Orchestrator, "GCLOUD_AGENT_URL", $"ftp://ada:{Secret}@h")]
    [InlineData(ServiceName.Orchestrator, "OPENAI_BASE_URL", "api.example")]
    [InlineData(ServiceName.Orchestrator, "services:phoenix:http:0", $"ada:{Secret}@phoenix")]
    [InlineData(ServiceName.Orchestrator, "PHOENIX_API_KEY", $"{Secret}\n{Secret}")]
    [InlineData(ServiceName.Orchestrator, "PHOENIX_CLIENT_HEADERS", $"x-tenant=a,{Secret}")]
    [InlineData(ServiceName.Orchestrator, "ConnectionStrings:phoenixdb", $"Host=h;Password={Secret};Nonsense=1")]
    [InlineData(ServiceName.Orchestrator, "ConnectionStrings:phoenixdb", $"Password={Secret}")]
    [InlineData(ServiceName.Orchestrator, "ConnectionStrings:phoenixdb", "")]
    [InlineData(ServiceName.Orchestrator, "urls", "8084")]
    [InlineData(ServiceName.Orchestrator, "urls", "http://127.0.0.1:80840")]
    [InlineData(ServiceName.Orchestrator, "http_ports", "8084;-1")]
    [InlineData(ServiceName.Orchestrator, "OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317")]
    [InlineData(ServiceName.Orchestrator, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "/v1/traces")]
    [InlineData(ServiceName.Orchestrator, "OTEL_EXPORTER_OTLP_PROTOCOL", "carrier-pigeon")]
    [InlineData(ServiceName.Orchestrator, "OTEL_EXPORTER_OTLP_TIMEOUT", "10s")]
    [InlineData(ServiceName.Orchestrator, "Logging:LogLevel:Default", "loud")]
    [InlineData(ServiceName.Orchestrator, "Mats:Tokens", Secret)]
    [InlineData(ServiceName.Phoenix, "Logging:LogLevel:Npgsql", "loud")]
    [InlineData(ServiceName.Phoenix, "Logging:Console:LogLevel:Default", "loud")]
    [InlineData(ServiceName.Phoenix, "ConnectionStrings:phoenixdb", $"Host=h;Password={Secret};Nonsense=1")]
    [InlineData(ServiceName.Phoenix, "PHOENIX_SQL_DATABASE_URL", $"postgresql://ada:{Secret}/x@db/tele")]
    [InlineData(ServiceName.Phoenix, "PHOENIX_SQL_DATABASE_URL", $"Host=h;Password={Secret}://")]
    [InlineData(ServiceName.Phoenix, "PHOENIX_ENV_FILE", "/nowhere/settings.env")]
    public void Start_ASettingOfNoOptionsClassWrong_IsRefusedWithoutASecret(ServiceName service, string name, string value)
    {
        // Beside a fault of an options class: all are told together.
        var faults = Setting.Faults(service, [(name, value), ("HttpResilience:MaxRetries", "-1")]);

        Assert.Contains(faults, fault => fault.StartsWith(name, StringComparison.Ordinal));
        Assert.Contains(faults, fault => fault.StartsWith("HttpResilience:MaxRetries must", StringComparison.Ordinal));
        Assert.All(faults, fault => Assert.DoesNotContain(Secret, fault, StringComparison.Ordinal));
    }

    [Fact]
    public void Start_PostgresPortThatIsNone_IsRefused() => Assert.Contains(
        Setting.Faults(ServiceName.Phoenix, [("PHOENIX_POSTGRES_HOST", "db"), ("PHOENIX_POSTGRES_PORT", "54320000")]),
        fault => fault.StartsWith("PHOENIX_POSTGRES_PORT", StringComparison.Ordinal));

    [Theory]
    [InlineData(ServiceName.Phoenix)]
    [InlineData(ServiceName.Orchestrator)]
    public async Task Start_EveryVariableWrong_EndsWithItsExitCodeAndOneLineAFaultOnly(ServiceName service)
    {
        var aliases = EnvironmentAliases.Table.ToDictionary(entry => entry.Key, entry => $"PHOENIX_{entry.Variables[0]}", StringComparer.Ordinal);
        var start = new ProcessStartInfo(
            "dotnet", [Path.Combine(AppContext.BaseDirectory, service == ServiceName.Phoenix ? "Phoenix.Service.dll" : "Orchestrator.Agent.dll")]);
        var settings = Setting.Of(service)
            .Select(setting => (setting.Path, Value: s_badTexts.GetValueOrDefault(setting.Path) ?? WrongValue(Wrong.Unreadable, setting.Type)))
            .Where(setting => setting.Value is not null)
            .Select(setting => (Name: aliases.GetValueOrDefault(setting.Path) ?? setting.Path.Replace(":", "__", StringComparison.Ordinal),
                Value: setting.Value!)).ToList();
        var switches = Switches(service).ToDictionary(
            setting => aliases.GetValueOrDefault(setting.Path) ?? setting.Path, setting => setting.Value, StringComparer.Ordinal);
        foreach (var (name, value) in settings)
        {
            start.Environment[name] = switches.GetValueOrDefault(name) ?? value;
        }

        var (exitCode, output, error) = await EndingProcess.RunAsync(start);

        Assert.Equal(ExitCodes.Settings, exitCode);
        Assert.All(error.Trim().Split('\n'), line => Assert.StartsWith("fatal: ", line, StringComparison.Ordinal));
        Assert.All(
            settings.Where(setting => !switches.ContainsKey(setting.Name)),
            setting => Assert.Contains(setting.Name, error, StringComparison.Ordinal));
        Assert.DoesNotContain(Secret, error + output, StringComparison.Ordinal);
    }

    /// <summary>Switched on, so that what is asked only then is asked.</summary>
    private static (string Path, string Value)[] Switches(ServiceName service) => service == ServiceName.Phoenix
        ? [("Phoenix:Auth:Enabled", "true"), ("Phoenix:Tls:Enabled", "true"), ("Phoenix:Tls:EnabledForHttp", "true"),
            ("Phoenix:Tls:EnabledForGrpc", "true"), ("Phoenix:Tls:VerifyClient", "true")]
        : [];

    /// <summary>A value of <paramref name="type"/> that is wrong in this way; null when there is none.</summary>
    private static string? WrongValue(Wrong wrong, Type type)
    {
        if (type == typeof(string) || type == typeof(string[]))
        {
            return null;
        }

        var isNumber = type == typeof(int) || type == typeof(long) || type == typeof(double) || type == typeof(decimal);
        var isDuration = type == typeof(TimeSpan);
        return wrong switch
        {
            Wrong.Unreadable => "some",
            Wrong.OutsideItsType => isNumber ? "1e999" : isDuration ? "99999999999999d" : type.IsEnum ? "1" : "2",
            Wrong.Negative => isNumber ? "-1" : isDuration ? "-1s" : null,
            Wrong.Zero => isNumber || isDuration ? "0" : null,
            Wrong.Huge => type == typeof(int) ? "2147483647"
                : type == typeof(long) ? "9223372036854775807"
                : type == typeof(double) ? "1e300"
                : type == typeof(decimal) ? "79228162514264337593543950335"
                : isDuration ? "10000000d"
                : null,
            _ => isNumber ? "NaN" : null,
        };
    }
}
