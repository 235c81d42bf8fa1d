using Phoenix.Service.Listening;

namespace Phoenix.Service.Security;

/// <summary>Who may use the service; off, everyone who reaches it may do everything.</summary>
internal sealed class AuthOptions
{
    public const string Section = "Phoenix:Auth";

    private const int LeastSecretChars = 32;

    /// <summary>Whether credentials are asked for.</summary>
    public bool Enabled { get; set; }

    /// <summary>Signs the tokens. Another one makes every token and API key invalid.</summary>
    public string Secret { get; set; } = "";

    /// <summary>File that holds <see cref="Secret"/> in its place; white space around it does not count.</summary>
    public string SecretFile { get; set; } = "";

    /// <summary>As a bearer token: the system, with the rights of an admin. Empty = none.</summary>
    public string AdminSecret { get; set; } = "";

    /// <summary>Password of <c>admin@localhost</c>, who is created with it when first needed; it changes nothing afterwards.</summary>
    public string InitialAdminPassword { get; set; } = "";

    /// <summary>Whether new passwords need 12 characters with lower and upper case, digit and another.</summary>
    public bool StrongPasswords { get; set; }

    /// <summary>Whether browsers send the cookies over HTTPS alone; null = when the HTTP port has TLS.</summary>
    public bool? UseSecureCookies { get; set; }

    /// <summary>Path the cookies are good for.</summary>
    public string CookiesPath { get; set; } = "/";

    /// <summary>Lifetime of an access token, in minutes.</summary>
    public int AccessTokenMinutes { get; set; } = 10;

    /// <summary>Lifetime of a refresh token, and so of a session nobody uses, in minutes.</summary>
    public int RefreshTokenMinutes { get; set; } = 10_080;

    /// <summary>How long a token once looked up is believed: a revocation by another replica takes effect after this.</summary>
    public TimeSpan RevocationDelay { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>Requests to the routes of <c>/auth</c> that one address may make a minute, and at once.</summary>
    public int RequestsPerMinute { get; set; } = 12;

    /// <summary>Wrong passwords in a row after which an account is locked for <see cref="LockTime"/>.</summary>
    public int MaxFailedLogins { get; set; } = 5;

    /// <summary>How long an account is locked.</summary>
    public TimeSpan LockTime { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>Other origins whose pages may use a browser's cookies here; its own always may.</summary>
    public string[] TrustedOrigins { get; set; } = [];

    /// <summary>Whether <c>/metrics</c> asks for credentials too.</summary>
    public bool ProtectMetrics { get; set; }

    /// <summary>The secret, wherever it stands; call only after <see cref="Check"/> found nothing.</summary>
    public string ReadSecret() => SecretFile.Length > 0 ? File.ReadAllText(SecretFile).Trim() : Secret;

    /// <summary>One sentence a broken rule; none holds a secret.</summary>
    public static IEnumerable<string> Check(AuthOptions options)
    {
        var accessFits = options.AccessTokenMinutes is >= 1 and <= 1440;
        if (!accessFits)
        {
            yield return $"{Key(nameof(AccessTokenMinutes))} must be from 1 to 1440, got {options.AccessTokenMinutes}";
        }

        if (options.RefreshTokenMinutes is < 1 or > 525_600 || (accessFits && options.RefreshTokenMinutes <= options.AccessTokenMinutes))
        {
            yield return $"{Key(nameof(RefreshTokenMinutes))} must be above {Key(nameof(AccessTokenMinutes))} and at most 525600, got {options.RefreshTokenMinutes}";
        }

        if (options.RevocationDelay < TimeSpan.Zero || options.RevocationDelay > TimeSpan.FromMinutes(5))
        {
            yield return $"{Key(nameof(RevocationDelay))} must be from 0 to 5 min, got {options.RevocationDelay}";
        }

        foreach (var (name, value) in new[] { (nameof(RequestsPerMinute), options.RequestsPerMinute),
            (nameof(MaxFailedLogins), options.MaxFailedLogins) })
        {
            if (value is < 1 or > 100_000)
            {
                yield return $"{Key(name)} must be from 1 to 100000, got {value}";
            }
        }

        if (options.LockTime < TimeSpan.FromSeconds(1) || options.LockTime > TimeSpan.FromDays(1))
        {
            yield return $"{Key(nameof(LockTime))} must be from 1 s to 1 d, got {options.LockTime}";
        }

        if (!options.CookiesPath.StartsWith('/') || options.CookiesPath.Any(static c => c == ';' || char.IsControl(c)))
        {
            yield return $"{Key(nameof(CookiesPath))} must be a path that starts with '/', got '{options.CookiesPath}'";
        }

        foreach (var origin in options.TrustedOrigins.Where(static origin => !ListenOptions.IsOrigin(origin)))
        {
            yield return $"{Key(nameof(TrustedOrigins))} must list origins such as https://host:port, got '{origin}'";
        }

        foreach (var fault in options.Enabled ? CheckSecrets(options) : [])
        {
            yield return fault;
        }
    }

    private static IEnumerable<string> CheckSecrets(AuthOptions options)
    {
        var (secret, key) = ((string?)options.Secret, Key(nameof(Secret)));
        if (options.SecretFile.Length > 0)
        {
            key = Key(nameof(SecretFile));
            if (options.Secret.Length > 0)
            {
                yield return $"{key} and {Key(nameof(Secret))} must not both be set";
            }

            secret = ReadFile(options.SecretFile);
        }

        if (secret is null)
        {
            yield return $"{key} must name a file that can be read, got '{options.SecretFile}'";
        }
        else if (secret.Length == 0)
        {
            yield return $"{key} must be set: authentication is on";
        }
        else if (!IsStrongSecret(secret))
        {
            yield return $"{key} must have at least {LeastSecretChars} characters, among them a digit and a lower-case letter";
        }

        if (options.AdminSecret.Length > 0 && (!IsStrongSecret(options.AdminSecret) || options.AdminSecret == secret))
        {
            yield return $"{Key(nameof(AdminSecret))} must have at least {LeastSecretChars} characters, among them a digit and a lower-case letter, and differ from {key}";
        }

        if (options.InitialAdminPassword.Length > 0
            && Passwords.Weakness(options.InitialAdminPassword, options.StrongPasswords) is { } weakness)
        {
            yield return $"{Key(nameof(InitialAdminPassword))} must be a password that {weakness}";
        }
    }

    private static bool IsStrongSecret(string secret) =>
        secret.Length >= LeastSecretChars && secret.Any(char.IsAsciiDigit) && secret.Any(char.IsAsciiLetterLower);

    private static string? ReadFile(string file)
    {
        try
        {
            return File.ReadAllText(file).Trim();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static string Key(string property) => $"{Section}:{property}";
}
