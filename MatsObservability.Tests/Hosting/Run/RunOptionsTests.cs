using Aspire.Hosting;
using MatsObservability.Hosting.Run;
using MatsObservability.Tests.Support;
using Microsoft.Extensions.Configuration;

namespace MatsObservability.Tests.Hosting.Run;

public sealed class RunOptionsTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void DataDirectory_ByDefault_IsBesideTheAppHost()
    {
        using var options = Options();

        Assert.Equal(_folder.File(".mats"), options.DataDirectory);
        Assert.Equal(18888, options.DashboardPort);
    }

    [Fact]
    public void DataDirectory_RootInAClosedHome_IsWhereTheDatabaseAccountGetsThrough()
    {
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(_folder.Path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }

        using var options = Options(("AppHost:PathSha256", "0123456789abcdef"));

        Assert.Equal(Environment.IsPrivilegedProcess ? "/var/lib/mats-observability/0123456789" : _folder.File(".mats"),
            options.DataDirectory);
    }

    [Fact]
    public void DataDirectory_Temporary_IsDeletedAtTheEnd()
    {
        var options = Options((RunOptions.TemporaryDataKey, "true"));
        Assert.True(Directory.Exists(options.DataDirectory));

        options.Dispose();

        Assert.False(Directory.Exists(options.DataDirectory));
    }

    [Theory]
    [InlineData(RunOptions.DashboardPortKey, "http", "Dashboard:Port must be a port number (0 to 65535), got 'http'.")]
    [InlineData(RunOptions.DashboardPortKey, "65536", "Dashboard:Port must be a port number (0 to 65535), got '65536'.")]
    [InlineData(RunOptions.TemporaryDataKey, "maybe", "Mats:TemporaryData must be true or false, got 'maybe'.")]
    public void Setting_Invalid_IsNamed(string key, string value, string message)
    {
        var failure = Assert.Throws<DistributedApplicationException>(() => Options((key, value)));

        Assert.Equal(message, failure.Message);
    }

    private RunOptions Options(params (string Key, string Value)[] settings)
    {
        var values = settings.ToDictionary(setting => setting.Key, setting => (string?)setting.Value);
        values["AppHost:Directory"] = _folder.Path;
        return new RunOptions(new ConfigurationBuilder().AddInMemoryCollection(values).Build(), new DistributedApplicationOptions());
    }
}
