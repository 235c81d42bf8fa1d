namespace MatsObservability.Benchmarks.Rca;

/// <summary>A stretch of fault-free telemetry, [Start, End) in Unix nanoseconds.</summary>
internal sealed record Stretch(string Name, long Start, long End);

/// <summary>A fault-free window with a baseline that is fault-free as well: whatever is blamed is a false alarm.</summary>
/// <param name="BaselinePart">The stretch of the baseline's day; null = the whole day.</param>
internal sealed record Control(string Name, string Day, Stretch Part, string BaselineDay, Stretch? BaselinePart);

/// <summary>
/// Every baseline and its halves and thirds against the next other days, and against the parts of itself that do not overlap.
/// </summary>
internal static class Controls
{
    /// <summary>Other days a day is held against: with all of them, the time would grow with the square of the days.</summary>
    private const int OtherDays = 2;

    public static IEnumerable<Control> Of(RcaCases cases)
    {
        foreach (var (place, day) in cases.Baselines.Index())
        {
            var others = Enumerable.Range(1, Math.Min(OtherDays, cases.Baselines.Count - 1))
                .Select(step => cases.Baselines[(place + step) % cases.Baselines.Count]).ToList();
            var starts = cases.ReadBaseline(day).Spans.Select(static span => span.StartNanos).Order().ToList();
            long At(double share) => starts[(int)(share * (starts.Count - 1))];
            var end = starts[^1] + 1;
            Stretch[] parts =
            [
                new("whole", starts[0], end), new("first half", starts[0], At(0.5)), new("second half", At(0.5), end),
                new("first third", starts[0], At(0.33)),
                new("second third", At(0.33), At(0.67)), new("last third", At(0.67), end),
            ];
            foreach (var part in parts)
            {
                foreach (var other in others)
                {
                    yield return new($"{day} {part.Name} against {other}", day, part, other, null);
                }

                foreach (var other in parts.Where(other => other.End <= part.Start || other.Start >= part.End))
                {
                    yield return new($"{day} {part.Name} against its {other.Name}", day, part, day, other);
                }
            }
        }
    }
}
