using System.Text.Json;
using MatsObservability.Benchmarks;
using MatsObservability.Tests.Support;

namespace MatsObservability.Tests.Orchestrator;

/// <summary>The chaos benchmark as its users run it, on scenarios of another seed than the engine was tuned on.</summary>
public sealed class ChaosBenchmarkTests
{
    [Fact, Trait("Req", "M16"), Trait("Req", "M11")]
    public async Task Chaos_TenScenariosAndFourControls_AreAllRightAndConfidencesMeanWhatTheySay()
    {
        using var folder = new TemporaryFolder();

        Assert.Equal(0, await Commands.RunAsync(["chaos", "--offline", "--seed", "7", "--json", folder.File("chaos.json")]));

        var report = JsonElement.Parse(await File.ReadAllTextAsync(folder.File("chaos.json")));
        Assert.Equal((10, 10), (report.GetProperty("scenarios").GetInt32(), report.GetProperty("right").GetInt32()));
        Assert.Equal((4, 4), (report.GetProperty("controls").GetInt32(), report.GetProperty("controls_right").GetInt32()));
        Assert.Equal(0, report.GetProperty("false_alarms").GetInt32());
        Assert.InRange(report.GetProperty("brier").GetDouble(), 0, 0.05);
        Assert.NotEmpty(report.GetProperty("reliability").EnumerateArray());
        var scenarios = report.GetProperty("per_scenario").EnumerateArray().ToList();
        Assert.Equal(scenarios.Count, scenarios.Select(scenario => scenario.GetProperty("id").GetString()).Distinct().Count());
        Assert.All(
            scenarios.Where(scenario => scenario.GetProperty("onset_error_s").ValueKind == JsonValueKind.Number),
            scenario => Assert.InRange(Math.Abs(scenario.GetProperty("onset_error_s").GetDouble()), 0, 5));
    }
}
