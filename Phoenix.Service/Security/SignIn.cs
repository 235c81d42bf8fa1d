using System.Globalization;
using Phoenix.Service.Storage.Postgres.Accounts;

namespace Phoenix.Service.Security;

/// <summary>Checks who somebody says to be by the password.</summary>
internal sealed class SignIn(UserStore users, Passwords passwords, FirstUsers first)
{
    /// <summary>
    /// The user; else <see cref="Refusal.Password"/>, or <see cref="Refusal.Locked"/> with how long. An unknown address takes as long as a
    /// wrong password.
    /// </summary>
    public async Task<(UserRow? User, Refusal Refusal, TimeSpan RetryAfter)> CheckAsync(
        string email, string password, CancellationToken cancellationToken)
    {
        await first.Created.WaitAsync(cancellationToken);
        var user = await users.FindByEmailAsync(email, cancellationToken);
        var (refusal, retryAfter) = await passwords.CheckAsync(email, password, user?.PasswordHash, cancellationToken);
        return (refusal == Refusal.None ? user : null, refusal, retryAfter);
    }

    /// <summary>The login page that leads back to <paramref name="back"/>, a path of this server.</summary>
    public static string PageFor(PathString pathBase, string? back, string? problem)
    {
        var query = QueryString.Empty;
        query = IsLocalPath(back) && back != "/" ? query.Add("returnUrl", back!) : query;
        query = problem is null ? query : query.Add("problem", problem);
        return $"{pathBase}/login{query}";
    }

    /// <summary>Whether <paramref name="path"/> stays on this server: "//host" and "/\host" would not.</summary>
    public static bool IsLocalPath(string? path) =>
        path is ['/', ..] and not ['/', '/' or '\\', ..] && !path.AsSpan().ContainsAnyInRange('\0', '\x1f');

    /// <summary>Whole seconds, rounded up, for Retry-After.</summary>
    public static string Seconds(TimeSpan time) => Math.Ceiling(time.TotalSeconds).ToString(CultureInfo.InvariantCulture);
}
