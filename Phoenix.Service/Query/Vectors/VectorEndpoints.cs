using Microsoft.AspNetCore.Http.HttpResults;
using Phoenix.Service.Query.Http;
using Phoenix.Service.Security;
using Phoenix.Service.Storage.Postgres.Readers;
using Phoenix.Service.Storage.Postgres.Vectors;

namespace Phoenix.Service.Query.Vectors;

/// <summary>Search for spans by the vectors of their embedding calls (an addition to Phoenix's API).</summary>
internal static class VectorEndpoints
{
    private const int DefaultLimit = 5;
    private const int MaxLimit = 100;
    private const double DefaultThreshold = 0.7;

    /// <summary>Maps the slice's routes.</summary>
    public static void MapVectors(this IEndpointRouteBuilder routes) =>
        routes.MapPost("/v1/projects/{project}/vectors/search", SearchAsync).Needs(Access.Read); // a POST for its length alone

    private static async Task<Results<JsonHttpResult<VectorMatchList>, JsonHttpResult<ValidationErrors>, ContentHttpResult>> SearchAsync(
        string project, HttpContext context, ProjectReader projects, SpanVectors vectors, CancellationToken cancellationToken)
    {
        if (!vectors.IsOn)
        {
            return ApiResults.Text(StatusCodes.Status501NotImplemented, $"Vector search is off: {vectors.WhyOff}");
        }

        var (body, fault) = await RequestJson.ReadAsync(context.Request, VectorJsonContext.Default.VectorSearch, cancellationToken);
        if (fault is not null)
        {
            return fault;
        }

        var errors = new List<ValidationError>();
        CheckVector(body!.Vector, vectors.Dimensions, errors);
        var limit = body.Limit ?? DefaultLimit;
        if (limit is < 1 or > MaxLimit)
        {
            errors.Add(new(["body", "limit"], $"Input should be from 1 to {MaxLimit}, got {limit}", "value_error"));
        }

        var threshold = body.Threshold ?? DefaultThreshold;
        if (threshold is < -1 or > 1)
        {
            errors.Add(new(["body", "threshold"], $"Input should be from -1 to 1, got {body.Threshold}", "value_error"));
        }

        var start = Nanos("start_time", body.StartTime, body.StartTimeUnixNano, long.MinValue, errors);
        var end = Nanos("end_time", body.EndTime, body.EndTimeUnixNano, long.MaxValue, errors);
        if (errors.Count > 0)
        {
            return ApiResults.Invalid(errors);
        }

        if (await projects.FindProjectAsync(project, cancellationToken) is not { } found)
        {
            return ApiResults.NoProject(project);
        }

        var matches = await vectors.SearchAsync(found.Id, start, end, body.Vector!, limit, threshold, cancellationToken);
        return ApiResults.Json(new VectorMatchList([.. matches.Select(VectorMatchData.From)]), VectorJsonContext.Default.VectorMatchList);
    }

    private static void CheckVector(float[]? vector, int dimensions, List<ValidationError> errors)
    {
        if (vector is null)
        {
            errors.Add(new(["body", "vector"], "Field required", "missing"));
        }
        else if (vector.Length != dimensions)
        {
            errors.Add(
                new(["body", "vector"], $"List should have {dimensions} numbers (Phoenix:Vectors:Dimensions), got {vector.Length}",
                    "value_error"));
        }
        else if (Array.FindIndex(vector, static number => !float.IsFinite(number)) is >= 0 and var index)
        {
            errors.Add(new(["body", "vector", index], "Input should be a finite number of 32 bits", "finite_number"));
        }
        else if (Array.TrueForAll(vector, static number => number == 0))
        {
            errors.Add(new(["body", "vector"], "A vector of zeros has no direction to compare", "value_error"));
        }
    }

    /// <summary>A bound: nanoseconds as they are, else ISO 8601, else <paramref name="otherwise"/>.</summary>
    private static long Nanos(string name, string? text, long? unixNanos, long otherwise, List<ValidationError> errors)
    {
        if (unixNanos is null && text is not null && !IsoTime.TryParse(text, allowNaive: true, out otherwise))
        {
            errors.Add(new(["body", name], "Input should be a valid datetime (ISO 8601)", "datetime_from_date_parsing"));
        }

        return unixNanos ?? otherwise;
    }
}
