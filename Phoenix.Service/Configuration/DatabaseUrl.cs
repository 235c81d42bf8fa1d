using System.Globalization;
using Npgsql;

namespace Phoenix.Service.Configuration;

/// <summary>
/// Database URLs as libpq and SQLAlchemy write them: postgresql://user:password@host:port,host2:port/database?sslmode=require, with percent
/// escapes, several hosts and IPv6 in brackets (PostgreSQL docs, connection URIs).
/// </summary>
internal static class DatabaseUrl
{
    private const string Key = "PHOENIX_SQL_DATABASE_URL";

    /// <summary>The Npgsql connection string that the variables (without prefix) describe; null when they describe none.</summary>
    /// <exception cref="StartUpException">The URL cannot be read; the message holds no part of it that may be secret.</exception>
    public static string? FromVariables(IReadOnlyDictionary<string, string> variables)
    {
        if (variables.TryGetValue("SQL_DATABASE_URL", out var url) && url.Length > 0)
        {
            return ToConnectionString(url);
        }

        if (!variables.TryGetValue("POSTGRES_HOST", out var host) || host.Length == 0)
        {
            return null;
        }

        var builder = new NpgsqlConnectionStringBuilder
        {
            Host = host,
            Database = variables.GetValueOrDefault("POSTGRES_DB", "postgres"),
            Username = variables.GetValueOrDefault("POSTGRES_USER", "postgres"),
        };
        if (variables.TryGetValue("POSTGRES_PASSWORD", out var password))
        {
            builder.Password = password;
        }

        if (variables.TryGetValue("POSTGRES_PORT", out var port))
        {
            builder.Port = int.TryParse(port, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number is > 0 and < 65536
                ? number
                : throw new StartUpException($"PHOENIX_POSTGRES_PORT must be a port, got '{port}'");
        }

        return builder.ConnectionString;
    }

    /// <summary>Translates one URL. Text that is no URL is taken for an Npgsql connection string and returned as it is.</summary>
    /// <exception cref="StartUpException">It is a URL that cannot be read.</exception>
    public static string ToConnectionString(string url)
    {
        var scheme = url.IndexOf("://", StringComparison.Ordinal);
        if (scheme < 0)
        {
            return url;
        }

        var kind = url[..scheme].Split('+')[0];
        if (kind is not ("postgresql" or "postgres"))
        {
            // Where the text is no URL at all, what stands before "://" may be a password.
            throw new StartUpException($"{Key} must be a postgresql:// URL"
                + (Uri.CheckSchemeName(kind) ? $", got the scheme '{kind}'" : ""));
        }

        var builder = new NpgsqlConnectionStringBuilder();
        var rest = url[(scheme + 3)..];
        var query = Cut(ref rest, '?');
        var database = Cut(ref rest, '/');
        var at = rest.LastIndexOf('@');
        if (at >= 0)
        {
            var user = rest[..at];
            var password = Cut(ref user, ':');
            builder.Username = Uri.UnescapeDataString(user);
            if (password is not null)
            {
                builder.Password = Uri.UnescapeDataString(password);
            }

            rest = rest[(at + 1)..];
        }

        builder.Database = string.IsNullOrEmpty(database) ? builder.Username : Uri.UnescapeDataString(database);
        Hosts(builder, rest);
        foreach (var parameter in (query ?? "").Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            var name = parameter;
            var value = Uri.UnescapeDataString(Cut(ref name, '=') ?? "");
            try
            {
                Parameter(builder, name, value);
            }
            catch (ArgumentException)
            {
                // Npgsql's own bounds.
                throw Unreadable(name);
            }
        }

        // As libpq does: who names a root wants the certificate checked.
        if (builder.SslMode == SslMode.Require && builder.RootCertificate is not null)
        {
            builder.SslMode = SslMode.VerifyCA;
        }

        return string.IsNullOrEmpty(builder.Host) ? throw new StartUpException($"{Key} must name a host") : builder.ConnectionString;
    }

    private static void Hosts(NpgsqlConnectionStringBuilder builder, string authority)
    {
        var hosts = new List<string>();
        var ports = new List<int>();
        foreach (var part in authority.Split(',', StringSplitOptions.RemoveEmptyEntries))
        {
            var end = part.StartsWith('[')
                ? part.IndexOf(']', StringComparison.Ordinal) + 1
                : Math.Max(part.IndexOf(':', StringComparison.Ordinal), 0);
            var host = end > 0 ? part[..end] : part;
            var port = end > 0 && end < part.Length ? part[(end + 1)..] : "5432";
            if ((end < part.Length && end > 0 && part[end] != ':')
                || !int.TryParse(port, NumberStyles.None, CultureInfo.InvariantCulture, out var number) || number is < 1 or > 65535)
            {
                // Not the text: a '/' in a password that is not escaped ends up here.
                throw new StartUpException($"{Key}: the port of a host cannot be read, or '/', '@', '?' of the password is not escaped");
            }

            hosts.Add(Uri.UnescapeDataString(host.Trim('[', ']')));
            ports.Add(number);
        }

        if (hosts.Count == 1)
        {
            (builder.Host, builder.Port) = (hosts[0], ports[0]);
        }
        else if (hosts.Count > 1)
        {
            builder.Host = string.Join(',',
                hosts.Zip(ports, (host, port) => host.Contains(':', StringComparison.Ordinal) ? $"[{host}]:{port}" : $"{host}:{port}"));
        }
    }

    private static void Parameter(NpgsqlConnectionStringBuilder builder, string name, string value)
    {
        switch (name)
        {
            case "sslmode"
                or "ssl" when Enum.TryParse<SslMode>(value.Replace("-", "", StringComparison.Ordinal), ignoreCase: true, out var mode)
                    && !char.IsAsciiDigit(value[0]):
                builder.SslMode = mode;
                break;
            case "sslrootcert":
                builder.RootCertificate = ExistingFile(name, value);
                break;
            case "sslcert":
                builder.SslCertificate = ExistingFile(name, value);
                break;
            case "sslkey":
                builder.SslKey = ExistingFile(name, value);
                break;
            case "host":
                builder.Host = value;
                break;
            case "user":
                builder.Username = value;
                break;
            case "password":
                builder.Password = value;
                break;
            case "dbname":
                builder.Database = value;
                break;
            case "application_name":
                builder.ApplicationName = value;
                break;
            case "port" or "connect_timeout" when int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var number):
                (builder.Port, builder.Timeout) = name == "port" ? (number, builder.Timeout) : (builder.Port, number);
                break;
            case "target_session_attrs":
                builder.TargetSessionAttributes = value;
                break;
            case "options":
                builder.Options = value;
                break;
            default:
                throw Unreadable(name);
        }
    }

    private static StartUpException Unreadable(string parameter) =>
        new($"{Key}: the parameter '{parameter}' is not known or its value cannot be used");

    private static string ExistingFile(string parameter, string path) =>
        File.Exists(path) ? path : throw new StartUpException($"{Key}: {parameter} must name a file, got '{path}'");

    /// <summary>
    /// Cuts <paramref name="text"/> at the first <paramref name="separator"/>; what follows it, or null when there is none.
    /// </summary>
    private static string? Cut(ref string text, char separator)
    {
        var at = text.IndexOf(separator, StringComparison.Ordinal);
        if (at < 0)
        {
            return null;
        }

        var rest = text[(at + 1)..];
        text = text[..at];
        return rest;
    }
}
