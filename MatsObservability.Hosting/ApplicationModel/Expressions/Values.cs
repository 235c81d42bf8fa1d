using System.Diagnostics.CodeAnalysis;

namespace Aspire.Hosting.ApplicationModel;

/// <summary>A value that is known when the system runs.</summary>
public interface IValueProvider
{
    /// <summary>The value; waits for what it depends on (an endpoint's port). Null means there is none.</summary>
    public ValueTask<string?> GetValueAsync(CancellationToken cancellationToken = default);

    /// <summary>The value as the caller in the context sees it.</summary>
    public ValueTask<string?> GetValueAsync(ValueProviderContext context, CancellationToken cancellationToken = default) =>
        GetValueAsync(cancellationToken);
}

/// <summary>A value that a published manifest writes as a placeholder.</summary>
public interface IManifestExpressionProvider
{
    /// <summary>The placeholder, such as <c>{phoenix.bindings.http.url}</c>.</summary>
    public string ValueExpression { get; }
}

/// <summary>A value for both worlds: resolved when running, a placeholder when published.</summary>
public interface IExpressionValue : IValueProvider, IManifestExpressionProvider;

/// <summary>A value made of other values or resources.</summary>
public interface IValueWithReferences
{
    /// <summary>What the value is made of: resources and other values.</summary>
    public IEnumerable<object> References { get; }
}

/// <summary>Who asks for a value, and in which operation.</summary>
public class ValueProviderContext
{
    public DistributedApplicationExecutionContext? ExecutionContext { get; init; }

    public IResource? Caller { get; init; }
}

/// <summary>A resource that others reach by a connection string.</summary>
public interface IResourceWithConnectionString : IResource, IExpressionValue, IValueWithReferences
{
    public ReferenceExpression ConnectionStringExpression { get; }

    /// <summary>The variable a consumer gets instead of <c>ConnectionStrings__name</c>; null for that default.</summary>
    public string? ConnectionStringEnvironmentVariable => null;

    public ValueTask<string?> GetConnectionStringAsync(CancellationToken cancellationToken = default) =>
        ConnectionStringExpression.GetValueAsync(cancellationToken);

    /// <summary>The parts of the connection, in the order in which consumers get them as variables.</summary>
    public IEnumerable<KeyValuePair<string, ReferenceExpression>> GetConnectionProperties() => [];

    string IManifestExpressionProvider.ValueExpression => $"{{{Name}.connectionString}}";

    ValueTask<string?> IValueProvider.GetValueAsync(CancellationToken cancellationToken) => GetConnectionStringAsync(cancellationToken);

    ValueTask<string?> IValueProvider.GetValueAsync(ValueProviderContext context, CancellationToken cancellationToken) =>
        GetConnectionStringAsync(cancellationToken);

    IEnumerable<object> IValueWithReferences.References => [ConnectionStringExpression];
}

/// <summary>The connection string of a resource as a value; missing is an error unless optional.</summary>
[SuppressMessage("Naming", "CA1721", Justification = "The member names are those of the public contract.")]
public class ConnectionStringReference(IResourceWithConnectionString resource, bool optional) : IExpressionValue, IValueWithReferences
{
    public IResourceWithConnectionString Resource { get; } = resource ?? throw new ArgumentNullException(nameof(resource));

    public bool Optional { get; } = optional;

    public string ValueExpression => ((IManifestExpressionProvider)Resource).ValueExpression;

    public IEnumerable<object> References => [Resource];

    /// <exception cref="DistributedApplicationException">There is none and the reference is not optional.</exception>
    public async ValueTask<string?> GetValueAsync(CancellationToken cancellationToken = default)
    {
        var value = await Resource.GetConnectionStringAsync(cancellationToken);
        return string.IsNullOrEmpty(value) && !Optional
            ? throw new DistributedApplicationException($"The connection string for the resource '{Resource.Name}' is not available.")
            : value;
    }

    public ValueTask<string?> GetValueAsync(ValueProviderContext context, CancellationToken cancellationToken = default) =>
        GetValueAsync(cancellationToken);
}
