using System.Globalization;
using System.Text.RegularExpressions;

namespace Orchestrator.Agent.Agents.Investigator;

/// <summary>A place in code that telemetry names: a stack frame, a log statement, or an operation.</summary>
/// <param name="Line">0 = the telemetry names no line.</param>
/// <param name="Text">What to search for when no file is named: a literal part of the log message or the operation's name.</param>
internal sealed record CodePlace(string? File, int Line, string? Function, string? Text)
{
    public override string ToString() => File is null
        ? Function ?? Text ?? "?"
        : $"{File}{(Line > 0 ? ":" + Line.ToString(CultureInfo.InvariantCulture) : "")}{(Function is null ? "" : $" ({Function})")}";
}

/// <summary>Every place in code that the triage's evidence names, the most specific first.</summary>
/// <param name="UnknownTrace">True when a stack trace was there but none of the known forms matched (E004).</param>
internal sealed partial record CodeRegions(IReadOnlyList<CodePlace> Places, bool UnknownTrace)
{
    private const int MostPlaces = 40;

    public static CodeRegions From(SreReport sre)
    {
        var frames = sre.StackTrace is { } trace ? Frames(trace).ToList() : [];
        var looksLikeTrace = sre.StackTrace is { } text
            && (text.Contains("\tat ", StringComparison.Ordinal) || text.Contains("   at ", StringComparison.Ordinal)
                || text.Contains("Traceback", StringComparison.Ordinal)
                || text.Contains("goroutine ", StringComparison.Ordinal));
        var statements = sre.Hypotheses.Take(1).SelectMany(cause => Statements(cause.Location.Detail));
        var messages = sre.Evidence.RawLogSamples.SelectMany(Statements)
            .Concat(
                sre.Evidence.RawLogSamples.Select(sample => new CodePlace(null, 0, null, Literal(sample)))
                    .Where(place => place.Text is not null));
        var operations = sre.Hypotheses.Take(1).SelectMany(cause => cause.Evidence).Where(e => e.Kind == "span" && e.Quote is not null)
            .Select(e => new CodePlace(null, 0, e.Quote, null));
        return new(
            [.. frames.Concat(statements).Concat(messages).Concat(operations).Distinct().Take(MostPlaces)],
            looksLikeTrace && frames.Count == 0);
    }

    /// <summary>The frames of a .NET, Java, Python, JavaScript or Go stack trace, innermost first.</summary>
    public static IEnumerable<CodePlace> Frames(string trace)
    {
        foreach (Match frame in DotNetFrame().Matches(trace))
        {
            yield return Place(frame);
        }

        foreach (Match frame in JavaFrame().Matches(trace))
        {
            yield return Place(frame);
        }

        foreach (var frame in PythonFrame().Matches(trace).Reverse())
        {
            yield return Place(frame);
        }

        foreach (Match frame in JavaScriptFrame().Matches(trace))
        {
            yield return Place(frame);
        }

        foreach (Match frame in GoFrame().Matches(trace))
        {
            yield return Place(frame);
        }
    }

    private static CodePlace Place(Match frame) => new(
        frame.Groups["file"].Value, int.Parse(frame.Groups["line"].ValueSpan, CultureInfo.InvariantCulture),
        frame.Groups["function"].Success ? frame.Groups["function"].Value : null, null);

    /// <summary>Log statements written as <c>Class#line</c> or <c>Class:line</c>.</summary>
    private static IEnumerable<CodePlace> Statements(string text) => Statement().Matches(text)
        .Select(match => new CodePlace(
            match.Groups["class"].Value, int.Parse(match.Groups["line"].ValueSpan, CultureInfo.InvariantCulture), null, null));

    /// <summary>The longest run of words without a number or an id: what the log statement's own text most likely is.</summary>
    private static string? Literal(string message)
    {
        var longest = Variable().Split(message.Split('\n', 2)[0]).Select(part => part.Trim(' ', ':', ',', '[', ']', '(', ')', '"', '\''))
            .MaxBy(part => part.Length);
        return longest is { Length: >= 8 } ? longest : null;
    }

    [GeneratedRegex(@"^\s*at (?<function>[^\r\n(]+\([^)\r\n]*\)) in (?<file>[^\r\n]+?):line (?<line>\d{1,7})",
        RegexOptions.Multiline | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex DotNetFrame();

    [GeneratedRegex(@"^\s*at (?<function>[\w.$<>]+)\((?<file>\w+\.(java|kt|scala|groovy)):(?<line>\d{1,7})\)",
        RegexOptions.Multiline | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex JavaFrame();

    [GeneratedRegex(@"File ""(?<file>[^""\r\n]+)"", line (?<line>\d{1,7})(, in (?<function>[^\r\n]+))?", RegexOptions.ExplicitCapture,
        1000)]
    private static partial Regex PythonFrame();

    [GeneratedRegex(@"^\s*at ((?<function>[^\r\n(]+) \()?(?<file>[^\r\n()\s]+\.(js|ts|mjs|cjs|jsx|tsx)):(?<line>\d{1,7}):\d+\)?",
        RegexOptions.Multiline | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex JavaScriptFrame();

    [GeneratedRegex(@"^\s+(?<file>[^\s]+\.go):(?<line>\d{1,7})", RegexOptions.Multiline | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex GoFrame();

    [GeneratedRegex(@"\b(?<class>[A-Z]\w+)[#:](?<line>\d{1,7})\b", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Statement();

    [GeneratedRegex(@"\S*\d\S*|[{}=\\|]+", RegexOptions.None, 1000)]
    private static partial Regex Variable();
}
