using System.Security.Claims;

namespace Phoenix.Service.Security;

/// <summary>What a user may do.</summary>
internal enum Role
{
    /// <summary>Owns system keys: reads and writes, administers nothing.</summary>
    System,

    /// <summary>Everything.</summary>
    Admin,

    /// <summary>Reads and writes.</summary>
    Member,

    /// <summary>Reads, and has keys of their own.</summary>
    Viewer,
}

/// <summary>The kinds of credentials; the first three stand in tokens under these names.</summary>
internal enum CredentialKind
{
    AccessToken,
    RefreshToken,
    ApiKey,

    /// <summary>PHOENIX_ADMIN_SECRET.</summary>
    AdminSecret,
}

/// <summary>Who makes a request, and by which credential; a feature of the request once it is known.</summary>
internal sealed record Caller(int UserId, string Email, string Username, Role Role, CredentialKind Kind,
    long TokenId, DateTimeOffset? ExpiresAt)
{
    /// <summary>The same for the framework; made once, because a caller is remembered over many requests.</summary>
    public ClaimsPrincipal Principal { get; } = new(new ClaimsIdentity(
        [new Claim(ClaimTypes.Name, Username), new Claim(ClaimTypes.Email, Email),
            new Claim(ClaimTypes.Role, Role.ToString())], TokenAuthentication.Scheme));
}

/// <summary>Why a request was not let in; the labels of <c>phoenix_auth_failures_total</c>.</summary>
internal enum Refusal
{
    None,

    /// <summary>No credential.</summary>
    Missing,

    /// <summary>Not a token of ours, or with another algorithm than HS256.</summary>
    Malformed,

    /// <summary>Signed with another secret, or changed.</summary>
    Signature,

    /// <summary>A refresh token where another is asked for, and so on.</summary>
    Kind,

    Expired,

    /// <summary>Signed by us, and no longer known.</summary>
    Revoked,

    /// <summary>A cookie sent by a page of another origin.</summary>
    Origin,

    /// <summary>Known, but without the right.</summary>
    Forbidden,

    /// <summary>Unknown user or wrong password.</summary>
    Password,

    /// <summary>Too many wrong passwords for this account.</summary>
    Locked,

    /// <summary>Too many requests from this address.</summary>
    Rate,

    /// <summary>The database could not be asked: nobody's fault, and not counted.</summary>
    Unavailable,
}
