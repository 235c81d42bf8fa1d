using MatsObservability.Benchmarks.Chaos;
using MatsObservability.Benchmarks.Rca;

namespace MatsObservability.Tests.Orchestrator.Evidence;

/// <summary>
/// The evaluation figures as a test: the labelled incidents lie beside the repository, and are skipped where they do not.
/// </summary>
public class RcaOfflineTests
{
    [LabelledIncidentsFact]
    public void RcaOffline_LabelledIncidents_MeetTheTargets()
    {
        var offline = new OfflineRca(RcaCases.Load(LabelledIncidentsFactAttribute.Folder!));
        var report = new RcaReport(offline.Run(static (_, incident, baseline) => (incident, baseline)), [.. offline.RunControls()], null);

        Assert.Equal(1, report.Share(static score => score.Within(1)));
        Assert.True(report.Share(static score => score.InnerRight) >= 0.95);
        Assert.Equal(0, report.FalseAlarms);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void ChaosOffline_Scenarios_AllRightAndNoFalseAlarm(int seed)
    {
        var scores = ChaosCommand.Offline(seed);

        Assert.All(scores, static score => Assert.True(score.Right, $"{score.Scenario.Id}: {score.Top}"));
        Assert.DoesNotContain(scores, static score => score.FalseAlarm);
    }
}

/// <summary>A test over the labelled incidents beside the repository; skipped with the reason where they are not.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class LabelledIncidentsFactAttribute : FactAttribute
{
    public LabelledIncidentsFactAttribute()
    {
        if (Folder is null)
        {
            Skip = "../shared/rca-trainticket is not beside the repository";
        }
    }

    public static string? Folder
    {
        get
        {
            for (var at = new DirectoryInfo(AppContext.BaseDirectory); at is not null; at = at.Parent)
            {
                var folder = Path.Combine(at.FullName, "shared", "rca-trainticket");
                if (File.Exists(Path.Combine(folder, "labels.json")))
                {
                    return folder;
                }
            }

            return null;
        }
    }
}
