using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace MatsObservability.Tests.ServiceDefaults;

public sealed class LogDefaultsTests
{
    [Theory]
    [InlineData("Npgsql.Command")]
    [InlineData("Microsoft.AspNetCore.Hosting.Diagnostics")]
    [InlineData("System.Net.Http.HttpClient.phoenix.LogicalHandler")]
    public void Levels_OfTheFrameworks_AreWarningUnlessConfigured(string category)
    {
        Assert.False(IsEnabled(category, LogLevel.Information));
        Assert.True(IsEnabled(category, LogLevel.Warning));
        Assert.True(
            IsEnabled(category, LogLevel.Information, informationKey: $"Logging:LogLevel:{string.Join('.', category.Split('.')[..^1])}"));
    }

    [Fact]
    public void Levels_OfTheServicesThemselves_StayAtInformation() =>
        Assert.True(IsEnabled("Phoenix.Service.Ingest", LogLevel.Information));

    private static bool IsEnabled(string category, LogLevel level, string? informationKey = null)
    {
        var builder = Host.CreateApplicationBuilder();
        if (informationKey is not null)
        {
            builder.Configuration.AddInMemoryCollection([new(informationKey, "Information")]);
        }

        builder.AddServiceDefaults();
        using var host = builder.Build();
        return host.Services.GetRequiredService<ILoggerFactory>().CreateLogger(category).IsEnabled(level);
    }
}
