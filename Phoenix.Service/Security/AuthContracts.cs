using System.Text.Json.Serialization;
using Phoenix.Service.Query.Http;
using Phoenix.Service.Storage.Postgres.Accounts;

namespace Phoenix.Service.Security;

/// <summary>Body of a login.</summary>
internal sealed record LoginBody(string? Email, string? Password);

/// <summary>Body of a change of one's own password.</summary>
internal sealed record PasswordBody(string? CurrentPassword, string? NewPassword);

/// <summary>Body of a key's creation.</summary>
internal sealed record ApiKeyBody(ApiKeyFields? Data);

/// <summary>A key to be made; <see cref="ExpiresAt"/> in ISO 8601, naive = UTC, null = never.</summary>
internal sealed record ApiKeyFields(string? Name, string? Description, string? ExpiresAt);

/// <summary>
/// A key as the API shows it; <see cref="Key"/> only in the answer to its creation, <see cref="User"/> only in the list of all users' keys.
/// </summary>
internal sealed record ApiKeyData(string Id, string Name, string? Description, string CreatedAt,
    string? ExpiresAt, string? Key, KeyOwner? User)
{
    /// <summary>From its row.</summary>
    public static ApiKeyData From(ApiKeyRow row, string? key = null, bool withOwner = false) => new(
        GlobalId.Format(TypeOf(row.UserId), row.Id), row.Name, row.Description, IsoTime.Format(row.CreatedAt),
        row.ExpiresAt is { } at ? IsoTime.Format(at) : null, key,
        withOwner ? new KeyOwner(GlobalId.Format("User", row.UserId), row.Username, row.Email) : null);

    /// <summary>Type of the ids of a user's keys.</summary>
    public static string TypeOf(int userId) => userId == UserStore.SystemUserId ? "SystemApiKey" : "UserApiKey";
}

/// <summary>Whose key it is.</summary>
internal sealed record KeyOwner(string Id, string Username, string Email);

/// <summary>One key.</summary>
internal sealed record ApiKeyEnvelope(ApiKeyData Data);

/// <summary>A page of keys.</summary>
internal sealed record ApiKeyList(IReadOnlyList<ApiKeyData> Data,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] string? NextCursor);

/// <summary>Body of a user's creation; no mail is sent.</summary>
internal sealed record UserBody(UserFields? User);

/// <summary>A user to be made.</summary>
internal sealed record UserFields(string? Email, string? Username, string? Role, string? AuthMethod, string? Password);

/// <summary>A user as the API shows them.</summary>
internal sealed record UserData(
    string? Id, string? Email, string? Username, string? Role, string AuthMethod, string? CreatedAt,
    string? UpdatedAt, bool? PasswordNeedsReset)
{
    /// <summary>Everybody, while authentication is off.</summary>
    public static UserData Anonymous { get; } = new(null, null, null, null, "ANONYMOUS", null, null, null);

    /// <summary>From its row.</summary>
    public static UserData From(UserRow row) => new(
        GlobalId.Format("User", row.Id), row.Email, row.Username, row.Role, "LOCAL", IsoTime.Format(row.CreatedAt),
        IsoTime.Format(row.UpdatedAt), false);
}

/// <summary>One user.</summary>
internal sealed record UserEnvelope(UserData Data);

/// <summary>A page of users.</summary>
internal sealed record UserList(IReadOnlyList<UserData> Data,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] string? NextCursor);

/// <summary>Where this server's tokens come from and how they are sent (RFC 9728).</summary>
internal sealed record ProtectedResource(string Resource, IReadOnlyList<string> BearerMethodsSupported);

/// <summary>JSON of the slice; unset fields are left out.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(LoginBody))]
[JsonSerializable(typeof(PasswordBody))]
[JsonSerializable(typeof(ApiKeyBody))]
[JsonSerializable(typeof(ApiKeyEnvelope))]
[JsonSerializable(typeof(ApiKeyList))]
[JsonSerializable(typeof(UserBody))]
[JsonSerializable(typeof(UserEnvelope))]
[JsonSerializable(typeof(UserList))]
[JsonSerializable(typeof(ProtectedResource))]
internal sealed partial class AuthJsonContext : JsonSerializerContext;
