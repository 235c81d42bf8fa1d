using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Options;
using Phoenix.Service.Query.Http;
using Phoenix.Service.Storage.Postgres.Accounts;

namespace Phoenix.Service.Security;

/// <summary>The routes of users (docs/api.md).</summary>
internal static class UserEndpoints
{
    /// <summary>Maps the routes.</summary>
    public static void MapUsers(this IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/user", GetSelfAsync).Needs(Access.Own);
        routes.MapGet("/v1/users", ListAsync).Needs(Access.Admin);
        routes.MapPost("/v1/users", CreateAsync).Needs(Access.Admin);
        routes.MapDelete("/v1/users/{id}", DeleteAsync).Needs(Access.Admin);
    }

    private static async Task<Results<JsonHttpResult<UserEnvelope>, ContentHttpResult>> GetSelfAsync(
        HttpContext context, UserStore users, CancellationToken cancellationToken) =>
        await users.FindAsync(context.Features.Get<Caller>()!.UserId, cancellationToken) is { } row
            ? Envelope(row)
            : ApiResults.NotFound("This user was deleted");

    private static async Task<Results<JsonHttpResult<UserList>, JsonHttpResult<ValidationErrors>, ContentHttpResult>> ListAsync(
        HttpContext context, UserStore users, CancellationToken cancellationToken)
    {
        var query = new QueryValues(context.Request.Query);
        var (page, badCursor) = IdPage.Read(query, "User");
        if (query.Errors.Count > 0)
        {
            return ApiResults.Invalid(query.Errors);
        }

        if (badCursor is not null)
        {
            return badCursor;
        }

        var rows = await users.ListAsync((int)Math.Min(page.From ?? int.MaxValue, int.MaxValue), page.Wanted, cancellationToken);
        return ApiResults.Json(
            new UserList([.. rows.Take(page.Limit).Select(UserData.From)], page.Next(rows, static row => row.Id)),
            AuthJsonContext.Default.UserList);
    }

    private static async Task<IResult> CreateAsync(
        HttpContext context, UserStore users, IOptions<AuthOptions> options, CancellationToken cancellationToken)
    {
        var (body, fault) = await RequestJson.ReadAsync(context.Request, AuthJsonContext.Default.UserBody, cancellationToken);
        if (fault is not null)
        {
            return fault;
        }

        if (body!.User is not { } fields)
        {
            return ApiResults.Invalid(new ValidationError(["body", "user"], "Field required", "missing"));
        }

        if (fields.Role == "SYSTEM")
        {
            return ApiResults.Text(StatusCodes.Status400BadRequest, "Nobody can be given the role SYSTEM");
        }

        var errors = Check(fields, options.Value).ToList();
        if (errors.Count > 0)
        {
            return ApiResults.Invalid(errors);
        }

        var hash = await Task.Run(() => Passwords.Hash(fields.Password!), cancellationToken);
        return await users.CreateAsync(fields.Email!.Trim(), fields.Username!.Trim(), fields.Role!, hash, cancellationToken) is { } row
            ? Envelope(row, StatusCodes.Status201Created)
            : ApiResults.Text(StatusCodes.Status409Conflict, "A user with this e-mail address or name exists already");
    }

    private static IEnumerable<ValidationError> Check(UserFields fields, AuthOptions options)
    {
        if (fields.Email is not { Length: <= 320 } email || email.Trim().IndexOf('@', StringComparison.Ordinal) <= 0
            || email.Any(char.IsControl))
        {
            yield return Fault("email", "Input should be an e-mail address");
        }

        if (string.IsNullOrWhiteSpace(fields.Username) || fields.Username.Length > 320 || fields.Username.Any(char.IsControl))
        {
            yield return Fault("username", "A user needs a name");
        }

        if (fields.Role is not ("ADMIN" or "MEMBER" or "VIEWER"))
        {
            yield return Fault("role", "Input should be one of: ADMIN, MEMBER, VIEWER");
        }

        if (fields.AuthMethod is not (null or "LOCAL"))
        {
            yield return Fault("auth_method", "This server knows only the method LOCAL");
        }

        if (Passwords.Weakness(fields.Password ?? "", options.StrongPasswords) is { } weakness)
        {
            yield return Fault("password", $"must be a password that {weakness}");
        }

        static ValidationError Fault(string field, string message) => new(["body", "user", field], message, "value_error");
    }

    private static async Task<Results<NoContent, ContentHttpResult>> DeleteAsync(
        string id, UserStore users, TokenVerifier verifier, CancellationToken cancellationToken)
    {
        if (!GlobalId.TryParse(id, "User", out var number) || number > int.MaxValue)
        {
            return ApiResults.Unprocessable($"Invalid id of a user: {id}");
        }

        if (await users.FindAsync((int)number, cancellationToken) is not { } user)
        {
            return ApiResults.NotFound($"There is no user {id}");
        }

        if (user.Id == UserStore.SystemUserId || user.Email == FirstUsers.AdminEmail)
        {
            return ApiResults.Text(StatusCodes.Status403Forbidden, "The system and the first admin cannot be deleted");
        }

        await users.DeleteAsync(user.Id, cancellationToken);
        verifier.ForgetUser(user.Id);
        return TypedResults.NoContent();
    }

    private static JsonHttpResult<UserEnvelope> Envelope(UserRow row, int status = StatusCodes.Status200OK) =>
        ApiResults.Json(new UserEnvelope(UserData.From(row)), AuthJsonContext.Default.UserEnvelope, status);
}
