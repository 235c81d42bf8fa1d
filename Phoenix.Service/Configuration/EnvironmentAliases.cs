using System.Collections.Frozen;

namespace Phoenix.Service.Configuration;

/// <summary>
/// Every PHOENIX_* variable the service knows and the configuration key it sets. Two vocabularies meet here: Arize Phoenix's and one
/// of its own. Where both name one key and differ, the one listed first wins.
/// </summary>
internal static class EnvironmentAliases
{
    /// <summary>Variables by key, the winner first. The prefix PHOENIX_ is left out.</summary>
    private static readonly (string Key, string[] Variables)[] s_table =
    [
        ("Phoenix:Server:Host", ["HOST"]),
        ("Phoenix:Server:Port", ["PORT"]),
        ("Phoenix:Server:GrpcPort", ["GRPC_PORT"]),
        ("Phoenix:Server:OtlpHttpPort", ["OTLP_HTTP_PORT"]),
        ("Phoenix:Server:MetricsPort", ["METRICS_PORT", "PROMETHEUS_PORT"]),
        ("Phoenix:Server:HostRootPath", ["HOST_ROOT_PATH"]),
        ("Phoenix:Server:CorsEnabled", ["CORS_ENABLED"]),
        ("Phoenix:Server:CorsOrigins", ["CORS_ORIGINS", "ALLOWED_ORIGINS"]),
        ("Phoenix:Tls:Enabled", ["SSL_ENABLED", "TLS_ENABLED"]),
        ("Phoenix:Tls:EnabledForHttp", ["TLS_ENABLED_FOR_HTTP"]),
        ("Phoenix:Tls:EnabledForGrpc", ["TLS_ENABLED_FOR_GRPC"]),
        ("Phoenix:Tls:CertFile", ["SSL_CERT_PATH", "TLS_CERT_FILE"]),
        ("Phoenix:Tls:KeyFile", ["SSL_KEY_PATH", "TLS_KEY_FILE"]),
        ("Phoenix:Tls:KeyFilePassword", ["TLS_KEY_FILE_PASSWORD"]),
        ("Phoenix:Tls:CaFile", ["TLS_CA_FILE"]),
        ("Phoenix:Tls:VerifyClient", ["TLS_VERIFY_CLIENT"]),
        ("Phoenix:Auth:Enabled", ["AUTH_ENABLED", "ENABLE_AUTH"]),
        ("Phoenix:Auth:Secret", ["SECRET"]),
        ("Phoenix:Auth:SecretFile", ["JWT_SECRET_FILE"]),
        ("Phoenix:Auth:AdminSecret", ["ADMIN_SECRET"]),
        ("Phoenix:Auth:InitialAdminPassword", ["DEFAULT_ADMIN_INITIAL_PASSWORD"]),
        ("Phoenix:Auth:StrongPasswords", ["ENABLE_STRONG_PASSWORD_POLICY"]),
        ("Phoenix:Auth:UseSecureCookies", ["USE_SECURE_COOKIES"]),
        ("Phoenix:Auth:CookiesPath", ["COOKIES_PATH"]),
        ("Phoenix:Auth:AccessTokenMinutes", ["ACCESS_TOKEN_EXPIRY_MINUTES"]),
        ("Phoenix:Auth:RefreshTokenMinutes", ["REFRESH_TOKEN_EXPIRY_MINUTES"]),
        ("Phoenix:Auth:MaxFailedLogins", ["BRUTE_FORCE_LOGIN_PROTECTION_MAX_ATTEMPTS"]),
        ("Phoenix:Auth:TrustedOrigins", ["CSRF_TRUSTED_ORIGINS"]),
        ("Phoenix:Ingest:DefaultProject", ["PROJECT_NAME"]),
        ("Phoenix:Ingest:RequestTimeout", ["REQUEST_TIMEOUT"]),
        ("Phoenix:Ingest:MemoryLimitBytes", ["MEMORY_LIMIT"]),
        ("Phoenix:Ingest:MaxQueueRecords", ["MAX_SPANS_QUEUE_SIZE"]),
        ("Phoenix:Ingest:MaxRequestBytes", ["MAX_REQUEST_SIZE"]),
        ("Phoenix:Forward:Endpoint", ["FORWARD_ENDPOINT"]),
        ("Phoenix:Forward:Headers", ["FORWARD_HEADERS"]),
        ("Phoenix:Forward:Signals", ["FORWARD_SIGNALS"]),
        ("Phoenix:Forward:MaxQueueBytes", ["FORWARD_QUEUE_SIZE"]),
        ("Phoenix:Storage:Writers", ["MAX_WORKERS"]),
        ("Phoenix:Storage:WriteTimeout", ["WORKER_TIMEOUT"]),
        ("Phoenix:Storage:Schema", ["SQL_DATABASE_SCHEMA"]),
        ("Phoenix:Storage:PartitionPeriod", ["PARTITION_PERIOD"]),
        ("Phoenix:Storage:IndexedAttributes", ["INDEXED_ATTRIBUTES"]),
        ("Phoenix:Vectors:Enabled", ["VECTOR_SEARCH"]),
        ("Phoenix:Vectors:Dimensions", ["VECTOR_DIMENSIONS"]),
        ("Phoenix:Vectors:Index", ["VECTOR_INDEX"]),
        ("Phoenix:Normalize:SampleRate", ["TRACING_SAMPLE_RATE"]),
        ("Phoenix:Normalize:MaxTraceBytes", ["MAX_TRACE_SIZE"]),
        ("Phoenix:Normalize:SessionRulesFile", ["SESSION_EVALUATOR_FILE_PATH"]),
        ("Phoenix:Retention:Days", ["DATA_RETENTION_DAYS", "DEFAULT_RETENTION_POLICY_DAYS"]),
        ("Logging:LogLevel:Default", ["LOG_LEVEL", "LOGGING_LEVEL"]),
    ];

    /// <summary>
    /// Variables read somewhere else: by the database URL, by clients, or by the managed PostgreSQL.
    /// </summary>
    private static readonly string[] s_elsewhere =
    [
        "ENV_FILE", "SQL_DATABASE_URL", "POSTGRES_HOST", "POSTGRES_PORT", "POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_DB",
        "POSTGRES_SHARED_BUFFERS", "POSTGRES_WORK_MEM", "POSTGRES_MAINTENANCE_WORK_MEM",
        "POSTGRES_EFFECTIVE_CACHE_SIZE", "POSTGRES_MAX_CONNECTIONS",
        "COLLECTOR_ENDPOINT", "COLLECTOR_GRPC_ENDPOINT", "COLLECTOR_HTTP_ENDPOINT", "API_KEY", "CLIENT_HEADERS",
    ];

    /// <summary>Variables of the two vocabularies that belong to features this version does not have.</summary>
    private static readonly string[] s_unsupported =
    [
        "ROOT_URL", "COMPRESSION_ENABLED", "SQL_DATABASE_READ_REPLICA_URL", "DATABASE_ALLOCATED_STORAGE_CAPACITY_GIBIBYTES",
        "DATABASE_USAGE_INSERTION_BLOCKING_THRESHOLD_PERCENTAGE", "DATABASE_USAGE_EMAIL_WARNING_THRESHOLD_PERCENTAGE",
        "METRICS_ENABLED", "PROMETHEUS_ENABLED", "ENABLE_PROMETHEUS", "LOG_FORMAT", "LOGGING_MODE", "ACCESS_LOG",
        "WORKING_DIR", "ADMINS",
        "ENVIRONMENT", "SERVICE_NAME", "TRACING_ENABLED", "BATCH_TIMEOUT", "MAX_EXPORT_BATCH_SIZE", "MAX_QUEUE_SIZE", "TELEMETRY_ENABLED",
        "DISABLE_BASIC_AUTH", "PASSWORD_RESET_TOKEN_EXPIRY_MINUTES", "DISABLE_RATE_LIMIT",
        "DISABLE_BRUTE_FORCE_LOGIN_PROTECTION",
    ];

    /// <summary>Families of such variables, by their first letters.</summary>
    private static readonly string[] s_unsupportedFamilies = ["OAUTH2_", "LDAP_", "SMTP_"];

    private static readonly FrozenDictionary<string, string> s_variablesByKey = s_table
        .Append(("ConnectionStrings:phoenixdb", ["SQL_DATABASE_URL", "POSTGRES_HOST"]))
        .ToFrozenDictionary(
            entry => entry.Key, entry => string.Join(" or ", entry.Variables.Select(name => PhoenixEnvironment.Prefix + name)),
            StringComparer.OrdinalIgnoreCase);

    private static readonly FrozenSet<string> s_known = s_table.SelectMany(entry => entry.Variables).Concat(s_elsewhere)
        .ToFrozenSet(StringComparer.OrdinalIgnoreCase);

    /// <summary>Every key with its variables (without prefix), the winner first.</summary>
    public static IReadOnlyList<(string Key, string[] Variables)> Table => s_table;

    /// <summary>The variables that set <paramref name="key"/>, as messages name them; null when there are none.</summary>
    public static string? VariablesOf(string key) => s_variablesByKey.GetValueOrDefault(key);

    /// <summary>The key as its operator may have written it: configuration path and, where there are any, variables.</summary>
    public static string Named(string key) => VariablesOf(key) is { } variables ? $"{key} ({variables})" : key;

    /// <summary>Whether a variable, given without its prefix, is read by this system.</summary>
    public static bool IsKnown(string name) => s_known.Contains(name);

    /// <summary>Whether a variable belongs to a feature that other servers of the vocabularies have and this version has not.</summary>
    public static bool IsUnsupported(string name) =>
        s_unsupported.Contains(name, StringComparer.OrdinalIgnoreCase)
        || s_unsupportedFamilies.Any(family => name.StartsWith(family, StringComparison.OrdinalIgnoreCase));
}
