using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Phoenix.Service.Query.Http;

/// <summary>
/// The answers every route shares: text for application errors, 422 with locations for invalid input.
/// </summary>
internal static class ApiResults
{
    /// <summary>200 with <paramref name="value"/> as JSON.</summary>
    public static JsonHttpResult<T> Json<T>(T value, JsonTypeInfo<T> type, int status = StatusCodes.Status200OK) =>
        TypedResults.Json(value, type, "application/json", status);

    /// <summary>An application error: the message alone, as text.</summary>
    public static ContentHttpResult Text(int status, string message) => TypedResults.Text(message, "text/plain", null, status);

    /// <summary>404.</summary>
    public static ContentHttpResult NotFound(string what) => Text(StatusCodes.Status404NotFound, what);

    /// <summary>404 for a project that does not exist.</summary>
    public static ContentHttpResult NoProject(string identifier) => NotFound($"Project with identifier '{identifier}' not found");

    /// <summary>422 as text: a bad cursor, id or value.</summary>
    public static ContentHttpResult Unprocessable(string message) => Text(StatusCodes.Status422UnprocessableEntity, message);

    /// <summary>422 naming what is wrong and where.</summary>
    public static JsonHttpResult<ValidationErrors> Invalid(params IReadOnlyList<ValidationError> errors) =>
        Json(new ValidationErrors(errors), ValidationJsonContext.Default.ValidationErrors, StatusCodes.Status422UnprocessableEntity);

    /// <summary>422 for one query parameter.</summary>
    public static JsonHttpResult<ValidationErrors> InvalidQuery(string name, string message, string type = "value_error") =>
        Invalid(new ValidationError(["query", name], message, type));
}

/// <summary>The body of a 422.</summary>
internal sealed record ValidationErrors(IReadOnlyList<ValidationError> Detail);

/// <summary>One fault: <see cref="Loc"/> starts with "body" or "query" and holds names and numeric indexes.</summary>
internal sealed record ValidationError(object[] Loc, string Msg, string Type);

/// <summary>JSON of the validation errors.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(ValidationErrors))]
[JsonSerializable(typeof(string))]
[JsonSerializable(typeof(int))]
internal sealed partial class ValidationJsonContext : JsonSerializerContext;
