using System.Text.Json;

namespace MatsObservability.Tests.Orchestrator;

/// <summary>Changes made before the window: found when they brought the incident about, left alone when not.</summary>
[Trait("Req", "M09")]
public sealed class ChangeTests(ShopSystem system) : IClassFixture<ShopSystem>
{
    private const string Setting = "DB_CONNECTION_STRING";

    [Fact]
    public async Task Change_TwentyMinutesBeforeTheWindow_IsBlamedForWhatBeginsInIt()
    {
        var cause = await CauseAsync("change-20", 20, "env_update", "orders", Setting, "db:5432", "invalid_host:5432");

        Assert.Equal("orders", cause.GetProperty("service").GetString());
        Assert.Equal("bad_configuration", cause.GetProperty("fault_type").GetString());
        Assert.Contains(Setting, cause.GetProperty("location").GetProperty("detail").GetString());
        Assert.Equal("db:5432", cause.GetProperty("change").GetProperty("before").GetString());
    }

    [Theory]
    [InlineData("change-other", 20, "env_update", "billing")]
    [InlineData("change-kind", 20, "iam_policy_update", "orders")]
    [InlineData("change-old", 40, "env_update", "orders")]
    public async Task Change_OfAnotherServiceOrKindOrTime_IsNotBlamed(string project, int minutesBefore, string type, string target)
    {
        var cause = await CauseAsync(project, minutesBefore, type, target, Setting, "a", "b");

        Assert.Equal("orders", cause.GetProperty("service").GetString());
        Assert.False(cause.TryGetProperty("change", out _), cause.ToString());
        Assert.DoesNotContain("change-event", cause.ToString());
        Assert.NotEqual("bad_configuration", cause.GetProperty("fault_type").GetString());
        Assert.NotEqual("access_revoked", cause.GetProperty("fault_type").GetString());
    }

    private async Task<JsonElement> CauseAsync(
        string project, int minutesBefore, string type, string target, string field, string before, string after)
    {
        await ShopTelemetry.SendAsync(system.Phoenix, project);
        await ShopTelemetry.ChangeAsync(system.Phoenix, project, ShopTelemetry.Incident.AddMinutes(-minutesBefore), type,
            target, field, before, after);
        var job = await system.Orchestrator.EndAsync(await system.Orchestrator.TroubleshootAsync(ShopTelemetry.Request(project)));
        Assert.True(job.GetProperty("status").GetString() == "COMPLETED", job.ToString());
        return job.GetProperty("result").GetProperty("root_causes")[0];
    }
}
