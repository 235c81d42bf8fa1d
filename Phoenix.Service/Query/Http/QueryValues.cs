using System.Globalization;

namespace Phoenix.Service.Query.Http;

/// <summary>
/// Reads a request's query parameters and collects every fault, so that one 422 names them all. Values are valid only while
/// <see cref="Errors"/> is empty.
/// </summary>
internal sealed class QueryValues(IQueryCollection query)
{
    private readonly List<ValidationError> _errors = [];

    /// <summary>What was wrong so far.</summary>
    public IReadOnlyList<ValidationError> Errors => _errors;

    /// <summary>Records a fault of one parameter.</summary>
    public void Fail(string name, string message, string type = "value_error") =>
        _errors.Add(new ValidationError(["query", name], message, type));

    /// <summary>The last value, or null when the parameter is absent or empty.</summary>
    public string? Text(string name) => query.TryGetValue(name, out var values) && values.Count > 0 && values[^1] is { Length: > 0 } text
        ? text
        : null;

    /// <summary>Every value of a repeated parameter, or null when there is none.</summary>
    public string[]? Texts(string name) =>
        query.TryGetValue(name, out var values) && values.Count > 0
            ? [.. values.Where(value => value is not null).Select(value => value!)]
            : null;

    /// <summary>A whole number in bounds.</summary>
    public int Int(string name, int otherwise, int min, int max)
    {
        if (Text(name) is not { } text)
        {
            return otherwise;
        }

        if (!int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value))
        {
            Fail(name, "Input should be a valid integer, unable to parse string as an integer", "int_parsing");
            return otherwise;
        }

        if (value < min)
        {
            Fail(name, min == 1 ? "Input should be greater than 0" : $"Input should be greater than or equal to {min}",
                min == 1 ? "greater_than" : "greater_than_equal");
            return otherwise;
        }

        if (value > max)
        {
            Fail(name, $"Input should be less than or equal to {max}", "less_than_equal");
            return otherwise;
        }

        return value;
    }

    /// <summary>true or false.</summary>
    public bool Bool(string name, bool otherwise)
    {
        switch (Text(name)?.ToLowerInvariant())
        {
            case null:
                return otherwise;
            case "true" or "1":
                return true;
            case "false" or "0":
                return false;
            default:
                Fail(name, "Input should be a valid boolean, unable to interpret input", "bool_parsing");
                return otherwise;
        }
    }

    /// <summary>One of a few words; the first is the default.</summary>
    public string OneOf(string name, params ReadOnlySpan<string> words)
    {
        var text = Text(name);
        foreach (var word in words)
        {
            if (text is null || text == word)
            {
                return word;
            }
        }

        Fail(name, $"Input should be one of: {string.Join(", ", words)}", "literal_error");
        return words[0];
    }

    /// <summary>
    /// A time as Unix nanoseconds: parameter <paramref name="name"/> in ISO 8601 (naive = UTC), or <paramref name="name"/>_unix_nano as a
    /// number.
    /// </summary>
    public long Nanos(string name, long otherwise)
    {
        if (Text(name + "_unix_nano") is { } number)
        {
            if (long.TryParse(number, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value))
            {
                return value;
            }

            Fail(name + "_unix_nano", "Input should be a valid integer, unable to parse string as an integer", "int_parsing");
            return otherwise;
        }

        if (Text(name) is not { } text)
        {
            return otherwise;
        }

        // An unescaped "+" of an offset arrives as a space.
        if (IsoTime.TryParse(text, allowNaive: true, out var nanos)
            || (text.LastIndexOf(' ') is > 10 and var space
                && IsoTime.TryParse(text.Remove(space, 1).Insert(space, "+"), allowNaive: true, out nanos)))
        {
            return nanos;
        }

        Fail(name, "Input should be a valid datetime (ISO 8601)", "datetime_from_date_parsing");
        return otherwise;
    }

    /// <summary>The half-open range of <c>start_time</c> and <c>end_time</c>; open where absent.</summary>
    public (long Start, long End) TimeRange() => (Nanos("start_time", long.MinValue), Nanos("end_time", long.MaxValue));
}
