using System.Data.Common;

namespace Aspire.Hosting.ApplicationModel;

/// <summary>A PostgreSQL server.</summary>
public class PostgresServerResource : ContainerResource, IResourceWithConnectionString
{
    internal const string PrimaryEndpointName = "tcp";
    internal const string DefaultUserName = "postgres";

    private readonly Dictionary<string, string> _databases = new(StringComparer.OrdinalIgnoreCase);

    /// <param name="name">Name of the resource.</param>
    /// <param name="userName">The superuser's name; null = <c>postgres</c>.</param>
    /// <param name="password">The superuser's password.</param>
    public PostgresServerResource(string name, ParameterResource? userName, ParameterResource password)
        : base(name)
    {
        ArgumentNullException.ThrowIfNull(password);
        PrimaryEndpoint = new EndpointReference(this, PrimaryEndpointName);
        UserNameParameter = userName;
        PasswordParameter = password;
    }

    public EndpointReference PrimaryEndpoint { get; }

    public EndpointReferenceExpression Host => PrimaryEndpoint.Property(EndpointProperty.Host);

    public EndpointReferenceExpression Port => PrimaryEndpoint.Property(EndpointProperty.Port);

    public ParameterResource? UserNameParameter { get; set; }

    public ParameterResource PasswordParameter { get; set; }

    public ReferenceExpression UserNameReference => UserNameParameter is { } parameter
        ? ReferenceExpression.Create($"{parameter}")
        : ReferenceExpression.Create($"{DefaultUserName}");

    public ReferenceExpression ConnectionStringExpression => this.TryGetLastAnnotation<ConnectionStringRedirectAnnotation>(out var redirect)
        ? redirect.Resource.ConnectionStringExpression
        : ReferenceExpression.Create($"Host={Host};Port={Port};Username={UserNameReference};Password={PasswordParameter}");

    /// <summary><c>postgresql://user:password@host:port</c>, user and password percent-encoded.</summary>
    public ReferenceExpression UriExpression => Uri(databaseName: null);

    public ReferenceExpression JdbcConnectionString => Jdbc(databaseName: null);

    /// <summary>Database names by the name of their resource.</summary>
    public IReadOnlyDictionary<string, string> Databases => _databases;

    IEnumerable<KeyValuePair<string, ReferenceExpression>> IResourceWithConnectionString.GetConnectionProperties() =>
        ConnectionProperties(databaseName: null);

    internal void AddDatabase(string name, string databaseName) => _databases.TryAdd(name, databaseName);

    internal IEnumerable<KeyValuePair<string, ReferenceExpression>> ConnectionProperties(string? databaseName)
    {
        yield return new("Host", ReferenceExpression.Create($"{Host}"));
        yield return new("Port", ReferenceExpression.Create($"{Port}"));
        yield return new("Username", UserNameReference);
        yield return new("Password", ReferenceExpression.Create($"{PasswordParameter}"));
        yield return new("Uri", Uri(databaseName));
        yield return new("JdbcConnectionString", Jdbc(databaseName));
        if (databaseName is not null)
        {
            yield return new("DatabaseName", ReferenceExpression.Create($"{databaseName}"));
        }
    }

    internal ReferenceExpression Uri(string? databaseName)
    {
        var uri = new ReferenceExpressionBuilder();
        uri.AppendLiteral("postgresql://");
        if (UserNameParameter is { } parameter)
        {
            uri.AppendFormatted(parameter, ReferenceExpression.UriFormat);
        }
        else
        {
            uri.AppendFormatted(DefaultUserName, ReferenceExpression.UriFormat);
        }

        uri.Append($":{PasswordParameter:uri}@{Host}:{Port}");
        uri.AppendLiteral(databaseName is null ? "" : "/" + System.Uri.EscapeDataString(databaseName));
        return uri.Build();
    }

    internal ReferenceExpression Jdbc(string? databaseName)
    {
        var path = databaseName is null ? "" : "/" + System.Uri.EscapeDataString(databaseName);
        return ReferenceExpression.Create($"jdbc:postgresql://{Host}:{Port}{path}");
    }
}

/// <summary>A database of a PostgreSQL server; made when the server is ready.</summary>
public class PostgresDatabaseResource : Resource, IResourceWithParent<PostgresServerResource>, IResourceWithConnectionString
{
    public PostgresDatabaseResource(string name, string databaseName, PostgresServerResource postgresParentResource)
        : base(name)
    {
        ArgumentException.ThrowIfNullOrEmpty(databaseName);
        ArgumentNullException.ThrowIfNull(postgresParentResource);
        DatabaseName = databaseName;
        Parent = postgresParentResource;
    }

    public PostgresServerResource Parent { get; }

    public string DatabaseName { get; }

    public ReferenceExpression ConnectionStringExpression => this.TryGetLastAnnotation<ConnectionStringRedirectAnnotation>(out var redirect)
        ? redirect.Resource.ConnectionStringExpression
        : ReferenceExpression.Create($"{(IResourceWithConnectionString)Parent};{DatabasePart}");

    /// <summary>The server's URI with the database as its path.</summary>
    public ReferenceExpression UriExpression => Parent.Uri(DatabaseName);

    public ReferenceExpression JdbcConnectionString => Parent.Jdbc(DatabaseName);

    private string DatabasePart => new DbConnectionStringBuilder { ["Database"] = DatabaseName }.ConnectionString;

    IEnumerable<KeyValuePair<string, ReferenceExpression>> IResourceWithConnectionString.GetConnectionProperties() =>
        Parent.ConnectionProperties(DatabaseName);
}
