using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Phoenix.Service.Query.Http;

/// <summary>Reads JSON bodies; what is wrong with one becomes a 422 that says where.</summary>
internal static class RequestJson
{
    /// <summary>The body, or the answer that refuses it.</summary>
    public static async Task<(T? Body, JsonHttpResult<ValidationErrors>? Fault)> ReadAsync<T>(
        HttpRequest request, JsonTypeInfo<T> type, CancellationToken cancellationToken)
        where T : class
    {
        try
        {
            return await JsonSerializer.DeserializeAsync(request.Body, type, cancellationToken) is { } body
                ? (body, null)
                : (null, Refuse([], "Input should be an object"));
        }
        catch (JsonException exception)
        {
            return (null,
                Refuse(Location(exception.Path), $"Invalid JSON at line {exception.LineNumber + 1}, byte {exception.BytePositionInLine}"));
        }
    }

    private static JsonHttpResult<ValidationErrors> Refuse(object[] where, string message) =>
        ApiResults.Invalid(new ValidationError(["body", .. where], message, "json_invalid"));

    /// <summary><c>$.data[0].name</c> as names and indexes.</summary>
    private static object[] Location(string? path)
    {
        var location = new List<object>();
        foreach (var part in (path ?? "$").TrimStart('$').Split(['.', '[', ']'], StringSplitOptions.RemoveEmptyEntries))
        {
            location.Add(int.TryParse(part, out var index) ? index : part);
        }

        return [.. location];
    }
}
