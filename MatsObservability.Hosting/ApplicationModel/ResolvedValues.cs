using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Aspire.Hosting.ApplicationModel;

/// <summary>The environment and arguments of a resource, as its annotations make them.</summary>
internal static class ResolvedValues
{
    /// <summary>
    /// Runs the environment callbacks in the order they were added. Values are strings or values yet to be resolved; keys keep the order in
    /// which they were first written.
    /// </summary>
    public static async Task<Dictionary<string, object>> CollectEnvironmentAsync(
        IResource resource, DistributedApplicationExecutionContext executionContext, ILogger? logger, CancellationToken cancellationToken)
    {
        var variables = new Dictionary<string, object>(StringComparer.Ordinal);
        var context = new EnvironmentCallbackContext(executionContext, resource, variables, cancellationToken)
        {
            Logger = logger ?? NullLogger.Instance,
        };
        foreach (var annotation in resource.Annotations.OfType<EnvironmentCallbackAnnotation>().ToArray())
        {
            await annotation.Callback(context);
        }

        return variables;
    }

    /// <summary>Runs the argument callbacks in the order they were added.</summary>
    public static async Task<List<object>> CollectArgumentsAsync(
        IResource resource, DistributedApplicationExecutionContext executionContext, ILogger? logger, CancellationToken cancellationToken)
    {
        var arguments = new List<object>();
        var context = new CommandLineArgsCallbackContext(resource, arguments, cancellationToken)
        {
            ExecutionContext = executionContext,
            Logger = logger ?? NullLogger.Instance,
        };
        foreach (var annotation in resource.Annotations.OfType<CommandLineArgsCallbackAnnotation>().ToArray())
        {
            await annotation.Callback(context);
        }

        return arguments;
    }

    /// <summary>The environment with every value resolved; waits for endpoints it names. Variables without a value are left out.</summary>
    public static async Task<List<KeyValuePair<string, string>>> ResolveEnvironmentAsync(
        IResource resource, DistributedApplicationExecutionContext executionContext, ILogger? logger, CancellationToken cancellationToken)
    {
        var resolved = new List<KeyValuePair<string, string>>();
        foreach (var (name, value) in await CollectEnvironmentAsync(resource, executionContext, logger, cancellationToken))
        {
            if (await ResolveAsync(value, resource, executionContext, cancellationToken) is { } text)
            {
                resolved.Add(new KeyValuePair<string, string>(name, text));
            }
        }

        return resolved;
    }

    /// <summary>The arguments with every value resolved; those without a value are left out.</summary>
    public static async Task<List<string>> ResolveArgumentsAsync(
        IResource resource, DistributedApplicationExecutionContext executionContext, ILogger? logger, CancellationToken cancellationToken)
    {
        var resolved = new List<string>();
        foreach (var value in await CollectArgumentsAsync(resource, executionContext, logger, cancellationToken))
        {
            if (await ResolveAsync(value, resource, executionContext, cancellationToken) is { } text)
            {
                resolved.Add(text);
            }
        }

        return resolved;
    }

    /// <summary>Whether a value is, or is made of, a secret parameter: such a value is masked where people see it.</summary>
    public static bool IsSecret(object? value) => Unwrap(value) switch
    {
        ParameterResource parameter => parameter.Secret,
        EndpointReference
            or EndpointReferenceExpression => false, // An address refers to its resource, whose connection string may refer back to it.
        IValueWithReferences composite => composite.References.Any(IsSecret),
        _ => false,
    };

    /// <summary>The value itself, where a builder of a resource that is a value stands for it.</summary>
    public static object? Unwrap(object? value) => value is IResourceBuilder<IResource> builder ? builder.Resource : value;

    /// <summary>The text of one value; null when it has none.</summary>
    public static async ValueTask<string?> ResolveAsync(
        object value, IResource caller, DistributedApplicationExecutionContext executionContext, CancellationToken cancellationToken) =>
        Unwrap(value) switch
        {
            string text => text,
            IValueProvider provider => await provider.GetValueAsync(
                new ValueProviderContext { Caller = caller, ExecutionContext = executionContext }, cancellationToken),
            var other => Convert.ToString(other, System.Globalization.CultureInfo.InvariantCulture),
        };
}
