namespace Phoenix.Service.Storage.Postgres.Accounts;

/// <summary>A row of <c>users</c>; <see cref="PasswordHash"/> is null when nobody logs in as this user.</summary>
internal sealed record UserRow(int Id, string Email, string Username, string Role, string? PasswordHash,
    DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt);

/// <summary>A token that has not been revoked, with its owner; <see cref="ExpiresAt"/> null = never.</summary>
internal sealed record TokenRow(long Id, string Kind, int UserId, string Email, string Username, string Role, DateTimeOffset? ExpiresAt);

/// <summary>An API key without its text, which is not stored.</summary>
internal sealed record ApiKeyRow(
    long Id, int UserId, string Email, string Username, string Name, string? Description,
    DateTimeOffset CreatedAt, DateTimeOffset? ExpiresAt);

/// <summary>A session's two tokens.</summary>
internal readonly record struct TokenPair(long AccessId, long RefreshId);
