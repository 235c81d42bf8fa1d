namespace Phoenix.Service.Doctor;

/// <summary>How a check ended.</summary>
internal enum Outcome
{
    Ok,

    /// <summary>Works, but something deserves a look.</summary>
    Warn,

    /// <summary>Does not work; the exit code is 1.</summary>
    Fail,

    /// <summary>Could not be checked from here.</summary>
    Skip,
}

/// <summary>What one check found.</summary>
/// <param name="Check">The part that was examined, such as <c>database</c>.</param>
/// <param name="Code">The name of a fault, the same for the same fault; null when there is none.</param>
/// <param name="Text">What was seen, and of a fault what to do.</param>
internal sealed record Finding(Outcome Outcome, string Check, string? Code, string Text)
{
    public static Finding Ok(string check, string text) => new(Outcome.Ok, check, null, text);

    public static Finding Warn(string check, string code, string text) => new(Outcome.Warn, check, code, text);

    public static Finding Fail(string check, string code, string text) => new(Outcome.Fail, check, code, text);

    public static Finding Skip(string check, string text) => new(Outcome.Skip, check, null, text);

    /// <summary>One plain line.</summary>
    public override string ToString() =>
        $"{Outcome switch { Outcome.Ok => "ok  ", Outcome.Warn => "warn", Outcome.Fail => "FAIL", _ => "skip" }} {Check,-12} {(Code is null ? "" : $"[{Code}] ")}{Text.ReplaceLineEndings(" ")}";
}
