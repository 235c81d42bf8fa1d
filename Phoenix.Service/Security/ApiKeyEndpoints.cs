using Microsoft.AspNetCore.Http.HttpResults;
using Phoenix.Service.Query.Http;
using Phoenix.Service.Storage.Postgres.Accounts;

namespace Phoenix.Service.Security;

/// <summary>
/// API keys: a user's own, everybody's for admins, and those of the system. A key's text is shown once and not stored.
/// </summary>
internal static class ApiKeyEndpoints
{
    private const string User = "UserApiKey";
    private const string System = "SystemApiKey";

    /// <summary>Maps the routes.</summary>
    public static void MapApiKeys(this IEndpointRouteBuilder routes)
    {
        var own = routes.MapGroup("/v1/user/api_keys").AddEndpointFilter(OnlyPeopleAsync).Needs(Access.Own);
        own.MapGet("", (HttpContext context, TokenStore tokens, CancellationToken cancellationToken) =>
            ListAsync(context, tokens, CallerOf(context).UserId, ApiKeyData.TypeOf(CallerOf(context).UserId), cancellationToken));
        own.MapPost("", CreateOwnAsync);
        own.MapDelete("{id}", DeleteOwnAsync);
        routes.MapGet("/v1/users/api_keys", (HttpContext context, TokenStore tokens, CancellationToken cancellationToken) =>
            ListAsync(context, tokens, userId: null, User, cancellationToken)).Needs(Access.Admin);
        routes.MapGet("/v1/system/api_keys", (HttpContext context, TokenStore tokens, CancellationToken cancellationToken) =>
            ListAsync(context, tokens, UserStore.SystemUserId, System, cancellationToken)).Needs(Access.Admin);
        routes.MapPost("/v1/system/api_keys", CreateSystemAsync).Needs(Access.Admin);
        routes.MapDelete("/v1/system/api_keys/{id}",
            (string id, TokenStore tokens, TokenVerifier verifier, CancellationToken cancellationToken) =>
            DeleteAsync(id, System, UserStore.SystemUserId, tokens, verifier, cancellationToken)).Needs(Access.Admin);
    }

    /// <summary>What belongs to nobody has no keys of its own; an admin's secret still revokes those of others.</summary>
    private static async ValueTask<object?> OnlyPeopleAsync(EndpointFilterInvocationContext context, EndpointFilterDelegate next) =>
        CallerOf(context.HttpContext).Role == Role.System
            ? ApiResults.Text(StatusCodes.Status403Forbidden, "a system key belongs to nobody, who has no keys of their own")
            : await next(context);

    private static Caller CallerOf(HttpContext context) => context.Features.Get<Caller>()!;

    private static async Task<Results<JsonHttpResult<ApiKeyList>, JsonHttpResult<ValidationErrors>, ContentHttpResult>> ListAsync(
        HttpContext context, TokenStore tokens, int? userId, string type, CancellationToken cancellationToken)
    {
        var query = new QueryValues(context.Request.Query);
        var (page, badCursor) = IdPage.Read(query, type);
        if (query.Errors.Count > 0)
        {
            return ApiResults.Invalid(query.Errors);
        }

        if (badCursor is not null)
        {
            return badCursor;
        }

        var rows = await tokens.ListKeysAsync(userId, page.From ?? long.MaxValue, page.Wanted, cancellationToken);
        return ApiResults.Json(
            new ApiKeyList([.. rows.Take(page.Limit).Select(row => ApiKeyData.From(row, withOwner: userId is null))],
                page.Next(rows, static row => row.Id)),
            AuthJsonContext.Default.ApiKeyList);
    }

    private static async Task<IResult> CreateOwnAsync(
        HttpContext context, TokenStore tokens, TokenFormat format, TimeProvider time, CancellationToken cancellationToken) =>
        CallerOf(context).Kind == CredentialKind.AccessToken
            ? await CreateAsync(context, CallerOf(context).UserId, tokens, format, time, cancellationToken)
            : ApiResults.Text(StatusCodes.Status403Forbidden, "a key of one's own is made in a session, after a login");

    private static async Task<IResult> CreateSystemAsync(
        HttpContext context, TokenStore tokens, TokenFormat format, TimeProvider time, CancellationToken cancellationToken) =>
        CallerOf(context).Kind is CredentialKind.AccessToken or CredentialKind.AdminSecret
            ? await CreateAsync(context, UserStore.SystemUserId, tokens, format, time, cancellationToken)
            : ApiResults.Text(StatusCodes.Status403Forbidden, "a system key is made in an admin's session, or with the admin secret");

    private static async Task<IResult> CreateAsync(
        HttpContext context, int userId, TokenStore tokens, TokenFormat format, TimeProvider time, CancellationToken cancellationToken)
    {
        var (body, fault) = await RequestJson.ReadAsync(context.Request, AuthJsonContext.Default.ApiKeyBody, cancellationToken);
        if (fault is not null)
        {
            return fault;
        }

        if (body!.Data is not { Name: { } name } fields || string.IsNullOrWhiteSpace(name) || name.Contains('\0', StringComparison.Ordinal))
        {
            return ApiResults.Invalid(new ValidationError(["body", "data", "name"], "A key needs a name", "value_error"));
        }

        var now = time.GetUtcNow();
        DateTimeOffset? expires = null;
        if (fields.ExpiresAt is { } text)
        {
            if (!IsoTime.TryParse(text, allowNaive: true, out var nanos) || DateTimeOffset.UnixEpoch.AddTicks(nanos / 100) <= now)
            {
                return ApiResults.Invalid(
                    new ValidationError(["body", "data", "expires_at"],
                        "Input should be a datetime (ISO 8601) in the future", "value_error"));
            }

            expires = DateTimeOffset.UnixEpoch.AddTicks(nanos / 100);
        }

        var row = await tokens.CreateKeyAsync(
            userId, name, fields.Description?.Replace("\0", "", StringComparison.Ordinal), now, expires, cancellationToken);
        return ApiResults.Json(
            new ApiKeyEnvelope(ApiKeyData.From(row, format.Write(CredentialKind.ApiKey, row.Id))), AuthJsonContext.Default.ApiKeyEnvelope,
            StatusCodes.Status201Created);
    }

    /// <summary>Another user's key is reported missing, except to admins, who may revoke it.</summary>
    private static Task<IResult> DeleteOwnAsync(
        string id, HttpContext context, TokenStore tokens, TokenVerifier verifier, CancellationToken cancellationToken) =>
        DeleteAsync(id, User, CallerOf(context).Role == Role.Admin ? null : CallerOf(context).UserId, tokens, verifier, cancellationToken);

    private static async Task<IResult> DeleteAsync(
        string id, string type, int? userId, TokenStore tokens, TokenVerifier verifier, CancellationToken cancellationToken)
    {
        if (!GlobalId.TryParse(id, type, out var keyId))
        {
            return ApiResults.Unprocessable($"Invalid id of a key: {id}");
        }

        if (!await tokens.DeleteKeyAsync(keyId, userId, cancellationToken))
        {
            return ApiResults.NotFound($"There is no key {id}");
        }

        verifier.Forget(keyId);
        return TypedResults.NoContent();
    }
}
