using System.Diagnostics;
using MatsObservability.ServiceDefaults;
using MatsObservability.Tests.Support;
using Microsoft.Extensions.Options;
using Npgsql;
using Phoenix.Service.Configuration;
using Phoenix.Service.Ingest.Decode;
using Phoenix.Service.Storage;

namespace MatsObservability.Tests.Phoenix.Configuration;

[Trait("Req", "M23")]
public sealed class PhoenixEnvironmentTests
{
    [Theory]
    [InlineData("MAX_WORKERS", "3", "Phoenix:Storage:Writers")]
    [InlineData("CORS_ORIGINS", "http://localhost:3001", "Phoenix:Server:CorsOrigins")]
    [InlineData("ALLOWED_ORIGINS", "http://localhost:3001", "Phoenix:Server:CorsOrigins")]
    [InlineData("MAX_SPANS_QUEUE_SIZE", "20000", "Phoenix:Ingest:MaxQueueRecords")]
    [InlineData("MEMORY_LIMIT", "6G", "Phoenix:Ingest:MemoryLimitBytes")]
    [InlineData("SQL_DATABASE_SCHEMA", "telemetry", "Phoenix:Storage:Schema")]
    public void Translate_KnownVariable_SetsItsKey(string variable, string value, string key)
    {
        var (keys, warnings, _) = PhoenixEnvironment.Translate(new Dictionary<string, string> { [variable] = value });

        Assert.Equal(value, keys[key]);
        Assert.Empty(warnings);
    }

    [Fact]
    public void Translate_BothVocabulariesDiffer_SeedNameWinsWithAWarning()
    {
        var (keys, warnings, _) = PhoenixEnvironment.Translate(
            new Dictionary<string, string> { ["ALLOWED_ORIGINS"] = "http://b", ["CORS_ORIGINS"] = "http://a" });

        Assert.Equal("http://a", keys["Phoenix:Server:CorsOrigins"]);
        Assert.Contains("PHOENIX_CORS_ORIGINS is used", Assert.Single(warnings), StringComparison.Ordinal);
    }

    [Fact]
    public void Translate_UnknownVariable_IsNamedOnceWithoutItsValue()
    {
        var (keys, warnings, _) = PhoenixEnvironment.Translate(new Dictionary<string, string> { ["MAX_WORKRES"] = "s3cret" });

        Assert.Empty(keys);
        Assert.Contains("PHOENIX_MAX_WORKRES", Assert.Single(warnings), StringComparison.Ordinal);
        Assert.DoesNotContain("s3cret", warnings[0], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("LOG_FORMAT")]
    [InlineData("SMTP_PASSWORD")]
    [InlineData("OAUTH2_GOOGLE_CLIENT_SECRET")]
    public void Translate_VariableOfAMissingFeature_IsNamedWithoutItsValue(string variable)
    {
        var (keys, warnings, faults) = PhoenixEnvironment.Translate(new Dictionary<string, string> { [variable] = "s3cret" });

        Assert.Empty(keys);
        Assert.Empty(faults);
        Assert.Equal($"PHOENIX_{variable} belongs to a feature that this version does not have and has no effect", Assert.Single(warnings));
    }

    [Fact]
    public void Table_EveryKey_IsReadByAnOptionsClass()
    {
        var read = typeof(StorageOptions).Assembly.GetTypes()
            .Select(type =>
                (type, section: type.GetField("Section",
                    System.Reflection.BindingFlags.Public | System.Reflection.BindingFlags.Static)?.GetRawConstantValue() as string))
            .Where(entry => entry.section is not null)
            .SelectMany(entry => entry.type.GetProperties().Select(property => $"{entry.section}:{property.Name}"))
            .Append("Logging:LogLevel:Default")
            .ToHashSet(StringComparer.Ordinal);

        Assert.All(EnvironmentAliases.Table, entry => Assert.Contains(entry.Key, read));
    }

    [Theory]
    [Trait("Req", "A12")]
    [Trait("Req", "B024")]
    [InlineData("postgresql://ada:p%40ss%2Fword%3A@db:5433/tele", "db", 5433, "ada", "p@ss/word:", "tele")]
    [InlineData("postgres://ada@db/tele", "db", 5432, "ada", null, "tele")]
    [InlineData("postgresql+asyncpg://ada:x@[::1]:6432/tele", "::1", 6432, "ada", "x", "tele")]
    [InlineData("postgresql://ada:x@db", "db", 5432, "ada", "x", "ada")]
    [InlineData("postgresql://ada:x@one:5001,two:5002/tele", "one:5001,two:5002", 5432, "ada", "x", "tele")]
    public void ToConnectionString_Url_HoldsItsParts(string url, string host, int port, string user, string? password, string database)
    {
        var builder = new NpgsqlConnectionStringBuilder(DatabaseUrl.ToConnectionString(url));

        Assert.Equal((host, port, user, password, database),
            (builder.Host, builder.Port, builder.Username, builder.Password, builder.Database));
    }

    [Theory]
    [InlineData("disable", SslMode.Disable)]
    [InlineData("require", SslMode.Require)]
    [InlineData("verify-ca", SslMode.VerifyCA)]
    [InlineData("verify-full", SslMode.VerifyFull)]
    public void ToConnectionString_SslMode_IsKept(string mode, SslMode expected) =>
        Assert.Equal(
            expected, new NpgsqlConnectionStringBuilder(DatabaseUrl.ToConnectionString($"postgresql://a:b@db/x?sslmode={mode}")).SslMode);

    [Theory]
    [InlineData("mysql://a:s3cret@db/x")]
    [InlineData("postgresql://a:s3cret@db:port/x")]
    [InlineData("postgresql://a:s3cret@/x")]
    [InlineData("postgresql://a:s3cret@db/x?sslmode=sometimes")]
    [InlineData("postgresql://a:s3cret@db/x?sslmode=99")]
    [InlineData("postgresql://a:s3cret@db/x?connect_timeout=5000")]
    [InlineData("postgresql://a:s3cret@db/x?port=0")]
    [InlineData("postgresql://a:s3cret@db/x?target_session_attrs=foo")]
    [InlineData("postgresql://a:s3cret@db/x?sslmode=verify-full&sslrootcert=/no/such/file.pem")]
    public void ToConnectionString_BrokenUrl_IsNamedWithoutItsPassword(string url)
    {
        var fault = Assert.Throws<StartUpException>(() => DatabaseUrl.ToConnectionString(url));

        Assert.Contains("PHOENIX_SQL_DATABASE_URL", fault.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("s3cret", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    [Trait("Req", "B020")]
    public void Parse_EnvFile_UnderstandsQuotesAndComments()
    {
        var variables = EnvFile.Parse(
            "# head\n\nexport PHOENIX_A=plain # comment\nPHOENIX_B=\"two \\\"words\\\" # kept\"\nPHOENIX_C='as is \\n'\nPHOENIX_D=\n",
            "file");

        Assert.Equal(
            [("PHOENIX_A", "plain"), ("PHOENIX_B", "two \"words\" # kept"), ("PHOENIX_C", "as is \\n"), ("PHOENIX_D", "")], variables);
    }

    [Theory]
    [InlineData("PHOENIX_A=1\nnonsense\n", "line 2")]
    [InlineData("PHOENIX_A=\"open\n", "line 1")]
    public void Parse_BrokenEnvFile_NamesFileAndLine(string text, string place)
    {
        var fault = Assert.Throws<StartUpException>(() => EnvFile.Parse(text, "settings.env"));

        Assert.Contains("settings.env", fault.Message, StringComparison.Ordinal);
        Assert.Contains(place, fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    [Trait("Req", "B020")]
    public void Build_EnvFileAndEnvironment_EnvironmentWins()
    {
        var file = Path.GetTempFileName();
        File.WriteAllText(file, "PHOENIX_MAX_WORKERS=7\nPHOENIX_PARTITION_PERIOD=month\n");
        try
        {
            var app = global::Phoenix.Service.Program.Build(
                [$"--PHOENIX_ENV_FILE={file}", "--PHOENIX_MAX_WORKERS=5", "--ConnectionStrings:phoenixdb=Host=localhost"]);
            var options = (IOptions<StorageOptions>)app.Services.GetService(typeof(IOptions<StorageOptions>))!;

            Assert.Equal((5, PartitionPeriod.Month), (options.Value.Writers, options.Value.PartitionPeriod));
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Theory]
    [Trait("Req", "B020")]
    [Trait("Req", "B023")]
    [InlineData(null, null, "default")]
    [InlineData("from-file", null, "from-file")]
    [InlineData(null, "given", "given")]
    [InlineData("from-file", "given", "given")]
    [InlineData("\"quoted # name\" ", null, "quoted # name")]
    [InlineData("plain # comment", null, "plain")]
    public void Build_FileEnvironmentAndDefault_TakeEffectInThisOrder(string? inFile, string? given, string expected)
    {
        using var folder = new MatsObservability.Tests.Support.TemporaryFolder();
        var file = folder.File(".env.phoenix-observability");
        File.WriteAllText(file, inFile is null ? "# nothing\n" : $"PHOENIX_PROJECT_NAME={inFile}\n");

        var app = global::Phoenix.Service.Program.Build([
            $"--PHOENIX_ENV_FILE={file}", "--ConnectionStrings:phoenixdb=Host=localhost", .. given is null
                ? (string[])[]
                : [$"--PHOENIX_PROJECT_NAME={given}"]]);

        Assert.Equal(expected, ((IOptions<DecodeOptions>)app.Services.GetService(typeof(IOptions<DecodeOptions>))!).Value.DefaultProject);
    }

    [Fact]
    [Trait("Req", "B043")]
    public void Build_SeveralFaults_AreReportedTogetherWithTheirKeys()
    {
        var fault = Assert.Throws<OptionsValidationException>(() => global::Phoenix.Service.Program.Build(
            ["--PHOENIX_MAX_WORKERS=0", "--PHOENIX_PORT=99999", "--PHOENIX_REQUEST_TIMEOUT=soon",
                "--ConnectionStrings:phoenixdb=Host=localhost"]));

        Assert.Equal(3, fault.Failures.Count());
        foreach (var name in (string[])["PHOENIX_MAX_WORKERS", "PHOENIX_PORT", "PHOENIX_REQUEST_TIMEOUT"])
        {
            Assert.Single(fault.Failures, failure => failure.Contains(name, StringComparison.Ordinal));
        }
    }

    [Theory]
    [InlineData("PHOENIX_SQL_DATABASE_URL", "mysql://a:s3cret@db/x", null)]
    [InlineData("PHOENIX_SQL_DATABASE_URL", "postgresql://a:s3cret@db/x?connect_timeout=5000", null)]
    [InlineData("PHOENIX_ENV_FILE", "/nowhere/settings.env", null)]
    [InlineData("PHOENIX_ACCESS_TOKEN_EXPIRY_MINUTES", "20000", "Host=localhost")]
    [InlineData("PHOENIX_REFRESH_TOKEN_EXPIRY_MINUTES", "0", "Host=localhost")]
    [InlineData("HttpResilience:AttemptTimeout", "2.00:00:00", "Host=localhost")]
    [InlineData("HttpResilience:TotalTimeout", "00:00:00", "Host=localhost")]
    public void Build_OneMistake_IsOneLineThatNamesIt(string name, string value, string? connection)
    {
        var fault = Assert.Throws<OptionsValidationException>(() => global::Phoenix.Service.Program.Build(
            [$"--{name}={value}", $"--ConnectionStrings:phoenixdb={connection}"]));

        Assert.Contains(name, Assert.Single(fault.Failures), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--ConnectionStrings:phoenixdb=Host=localhost;Password=s3cret;Nonsense=1", "ConnectionStrings:phoenixdb")]
    [InlineData("--PHOENIX_SQL_DATABASE_URL=mysql://a:s3cret@b/c", "PHOENIX_SQL_DATABASE_URL")]
    [InlineData("--PHOENIX_MAX_WORKERS=none", "PHOENIX_MAX_WORKERS")]
    public async Task Start_Fault_IsOneLineWithoutStackAndEndsWithItsExitCode(string argument, string named)
    {
        var (exitCode, _, error) = await EndingProcess.RunAsync(
            new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "Phoenix.Service.dll"), argument]));

        Assert.Equal(ExitCodes.Settings, exitCode);
        Assert.All(error.Trim().Split('\n'), line => Assert.StartsWith("fatal: ", line, StringComparison.Ordinal));
        Assert.Contains(named, error, StringComparison.Ordinal);
        Assert.DoesNotContain("s3cret", error, StringComparison.Ordinal);
    }
}
