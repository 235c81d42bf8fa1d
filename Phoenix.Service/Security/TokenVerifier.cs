using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Options;
using Phoenix.Service.Storage.Postgres;
using Phoenix.Service.Storage.Postgres.Accounts;

namespace Phoenix.Service.Security;

/// <summary>
/// Tells whose a token is. The signature is checked each time; owner, expiry and revocation are asked of the database once in
/// <see cref="AuthOptions.RevocationDelay"/> and remembered, revocations made here at once. Thread-safe.
/// </summary>
internal sealed class TokenVerifier(TokenFormat format, TokenStore tokens, DatabaseState database,
    IOptions<AuthOptions> options, TimeProvider time)
{
    private const int MostRemembered = 10_000;

    private readonly ConcurrentDictionary<long, Remembered> _remembered = new();
    private readonly TimeSpan _remember = options.Value.RevocationDelay;
    private readonly byte[]? _adminSecret = options.Value.AdminSecret is { Length: > 0 } secret
        ? SHA256.HashData(Encoding.UTF8.GetBytes(secret))
        : null;
    private readonly Caller _admin = new(UserStore.SystemUserId, "system@localhost", "system", Role.Admin,
        CredentialKind.AdminSecret, 0, null);
    private int _revocations;

    /// <summary>The owner of a bearer token: an access token, an API key or the admin secret.</summary>
    public ValueTask<(Caller? Caller, Refusal Refusal)> VerifyBearerAsync(string token, CancellationToken cancellationToken) =>
        _adminSecret is not null && IsAdminSecret(token)
            ? new((_admin, Refusal.None))
            : VerifyAsync(token, acceptKeys: true, cancellationToken);

    /// <summary>The owner of an access cookie.</summary>
    public ValueTask<(Caller? Caller, Refusal Refusal)> VerifyCookieAsync(string token, CancellationToken cancellationToken) =>
        VerifyAsync(token, acceptKeys: false, cancellationToken);

    /// <summary>Forgets a token that was revoked.</summary>
    public void Forget(long tokenId)
    {
        Interlocked.Increment(ref _revocations);
        _remembered.TryRemove(tokenId, out _);
    }

    /// <summary>Forgets every token of a user.</summary>
    public void ForgetUser(int userId)
    {
        Interlocked.Increment(ref _revocations);
        foreach (var (id, remembered) in _remembered)
        {
            if (remembered.Caller?.UserId == userId)
            {
                _remembered.TryRemove(id, out _);
            }
        }
    }

    private ValueTask<(Caller? Caller, Refusal Refusal)> VerifyAsync(string token, bool acceptKeys, CancellationToken cancellationToken)
    {
        var refusal = format.Read(token, out var kind, out var id);
        if (refusal == Refusal.None && kind != CredentialKind.AccessToken && !(acceptKeys && kind == CredentialKind.ApiKey))
        {
            refusal = Refusal.Kind;
        }

        if (refusal != Refusal.None)
        {
            return new((null, refusal));
        }

        return _remembered.TryGetValue(id, out var remembered) && time.GetElapsedTime(remembered.Since) < _remember
            ? new(Judge(remembered.Caller, kind))
            : AskAsync(id, kind, cancellationToken);
    }

    private async ValueTask<(Caller? Caller, Refusal Refusal)> AskAsync(long id, CredentialKind kind, CancellationToken cancellationToken)
    {
        if (!database.IsReady)
        {
            return (null, Refusal.Unavailable);
        }

        var (since, revocations) = (time.GetTimestamp(), Volatile.Read(ref _revocations));
        try
        {
            var caller = await tokens.FindAsync(id, cancellationToken) is { } row && Enum.TryParse<CredentialKind>(row.Kind, out var stored)
                ? new Caller(row.UserId, row.Email, row.Username, Enum.Parse<Role>(row.Role, ignoreCase: true),
                    stored, row.Id, row.ExpiresAt)
                : null;
            if (_remembered.Count >= MostRemembered)
            {
                _remembered.Clear();
            }

            _remembered[id] = new Remembered(caller, since);
            if (Volatile.Read(ref _revocations) != revocations)
            {
                // It may have been this one, after the database answered.
                _remembered.TryRemove(id, out _);
            }

            return Judge(caller, kind);
        }
        catch (Exception exception) when (PostgresErrors.IsDatabase(exception) && !cancellationToken.IsCancellationRequested)
        {
            return (null, Refusal.Unavailable);
        }
    }

    private (Caller? Caller, Refusal Refusal) Judge(Caller? caller, CredentialKind kind) => caller switch
    {
        null => (null, Refusal.Revoked),
        _ when caller.Kind != kind => (null, Refusal.Kind),
        _ when caller.ExpiresAt <= time.GetUtcNow() => (null, Refusal.Expired),
        _ => (caller, Refusal.None),
    };

    private bool IsAdminSecret(string token)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(Encoding.UTF8.GetBytes(token), hash);
        return CryptographicOperations.FixedTimeEquals(hash, _adminSecret);
    }

    private sealed record Remembered(Caller? Caller, long Since);
}
