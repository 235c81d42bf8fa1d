using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Phoenix.Service.Security;

/// <summary>
/// Password hashes: PBKDF2 with HMAC-SHA-256, <c>pbkdf2-sha256$rounds$salt$hash</c> in base64. A check takes some 100 ms of one core.
/// </summary>
internal sealed class Passwords(LoginGuard guard, SecurityMetrics metrics) : IDisposable
{
    // OWASP Password Storage Cheat Sheet, PBKDF2-HMAC-SHA256.
    private const int Rounds = 600_000;
    private const int SaltBytes = 16;
    private const int HashBytes = 32;
    private const string Scheme = "pbkdf2-sha256";

    // So that nobody keeps the server hashing.
    private const int MostChars = 1024;

    // Logins must not take every core from the ingest.
    private readonly SemaphoreSlim _turn = new(1);
    private readonly string _nobody = Hash(Convert.ToHexString(RandomNumberGenerator.GetBytes(16)));

    /// <summary>What a new password lacks, after "a password that"; null when it will do.</summary>
    public static string? Weakness(string password, bool strong)
    {
        if (password.Length > MostChars)
        {
            return $"has at most {MostChars} characters";
        }

        if (!strong)
        {
            return password.Length < 8 ? "has at least 8 characters" : null;
        }

        return password.Length >= 12 && password.Any(char.IsLower) && password.Any(char.IsUpper) && password.Any(char.IsDigit)
            && password.Any(c => !char.IsLetterOrDigit(c))
            ? null
            : "has at least 12 characters, among them lower and upper case, a digit and another character";
    }

    /// <summary>The hash to store, with a salt of its own.</summary>
    public static string Hash(string password)
    {
        var salt = RandomNumberGenerator.GetBytes(SaltBytes);
        return string.Create(
            CultureInfo.InvariantCulture, $"{Scheme}${Rounds}${Convert.ToBase64String(salt)}${Convert.ToBase64String(Derive(password, salt, Rounds, HashBytes))}");
    }

    /// <summary>
    /// <see cref="Refusal.None"/> when <paramref name="password"/> is the one of <paramref name="stored"/> (null takes as long and is never
    /// right); else <see cref="Refusal.Password"/>, or <see cref="Refusal.Locked"/> with how long. Counts for the lock of
    /// <paramref name="account"/>.
    /// </summary>
    public async Task<(Refusal Refusal, TimeSpan RetryAfter)> CheckAsync(
        string account, string password, string? stored, CancellationToken cancellationToken)
    {
        await _turn.WaitAsync(cancellationToken);
        try
        {
            // Asked in the turn, so that of guesses made at once the later ones see the failures of the earlier.
            if (guard.LockedFor(account) is { Ticks: > 0 } locked)
            {
                metrics.Refused(Refusal.Locked);
                return (Refusal.Locked, locked);
            }

            if (password.Length <= MostChars && await Task.Run(() => Matches(password, stored ?? _nobody), cancellationToken)
                && stored is not null)
            {
                guard.Succeeded(account);
                return (Refusal.None, TimeSpan.Zero);
            }

            guard.Failed(account);
            metrics.Refused(Refusal.Password);
            return (Refusal.Password, TimeSpan.Zero);
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _turn.Dispose();

    private static bool Matches(string password, string stored)
    {
        var parts = stored.Split('$');
        if (parts.Length != 4 || parts[0] != Scheme
            || !int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out var rounds))
        {
            return false;
        }

        var hash = Convert.FromBase64String(parts[3]);
        return CryptographicOperations.FixedTimeEquals(Derive(password, Convert.FromBase64String(parts[2]), rounds, hash.Length), hash);
    }

    private static byte[] Derive(string password, byte[] salt, int rounds, int length) =>
        Rfc2898DeriveBytes.Pbkdf2(Encoding.UTF8.GetBytes(password), salt, rounds, HashAlgorithmName.SHA256, length);
}
