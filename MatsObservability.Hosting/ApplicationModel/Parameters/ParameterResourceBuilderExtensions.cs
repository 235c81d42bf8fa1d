using Aspire.Hosting.ApplicationModel;
using Microsoft.Extensions.Configuration;

namespace Aspire.Hosting;

/// <summary>Adding parameters and connection strings that come from outside.</summary>
public static class ParameterResourceBuilderExtensions
{
    /// <summary>A value from configuration: <c>Parameters:name</c> (or the name with <c>_</c> for <c>-</c>).</summary>
    public static IResourceBuilder<ParameterResource> AddParameter(
        this IDistributedApplicationBuilder builder, string name, bool secret = false)
    {
        ArgumentNullException.ThrowIfNull(builder);
        return builder.AddResource(CreateParameter(builder, name, secret));
    }

    /// <summary>A constant, whatever configuration says.</summary>
    /// <exception cref="ArgumentException">Secret and published as a default.</exception>
    public static IResourceBuilder<ParameterResource> AddParameter(
        this IDistributedApplicationBuilder builder, string name, string value, bool publishValueAsDefault = false, bool secret = false)
    {
        ArgumentNullException.ThrowIfNull(value);
        return builder.AddParameter(name, () => value, publishValueAsDefault, secret);
    }

    /// <inheritdoc cref="AddParameter(IDistributedApplicationBuilder, string, string, bool, bool)"/>
    public static IResourceBuilder<ParameterResource> AddParameter(
        this IDistributedApplicationBuilder builder, string name, Func<string> valueGetter,
        bool publishValueAsDefault = false, bool secret = false)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentNullException.ThrowIfNull(valueGetter);
        if (publishValueAsDefault && secret)
        {
            throw new ArgumentException("A parameter cannot be both secret and published as a default value.", nameof(secret));
        }

        return builder.AddResource(new ParameterResource(name, _ => valueGetter(), secret)
        {
            Default = publishValueAsDefault ? new ConstantParameterDefault(valueGetter) : null,
        });
    }

    /// <summary>
    /// A value from configuration, else the default; with <paramref name="persist"/> a generated default is kept for the next run.
    /// </summary>
    public static IResourceBuilder<ParameterResource> AddParameter(
        this IDistributedApplicationBuilder builder, string name, ParameterDefault value, bool secret = false, bool persist = false)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentNullException.ThrowIfNull(value);
        return builder.AddResource(
            ParameterValues.FromConfiguration(builder, name, secret, persist ? Persisted(builder, name, value) : value));
    }

    /// <summary>A value from any configuration key.</summary>
    public static IResourceBuilder<ParameterResource> AddParameterFromConfiguration(
        this IDistributedApplicationBuilder builder, string name, string configurationKey, bool secret = false)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentNullException.ThrowIfNull(configurationKey);
        return builder.AddResource(
            new ParameterResource(name, fallback => ParameterValues.Get(builder.Configuration, name, configurationKey, fallback), secret));
    }

    /// <summary>The connection string <c>ConnectionStrings:name</c> of the configuration.</summary>
    public static IResourceBuilder<IResourceWithConnectionString> AddConnectionString(
        this IDistributedApplicationBuilder builder, string name, string? environmentVariableName = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        return builder.AddResource(new ConnectionStringParameterResource(
            name,
            _ => builder.Configuration.GetConnectionString(name)
                ?? throw new MissingParameterValueException(
                    $"Connection string parameter resource could not be used because connection string '{name}' is missing."),
            environmentVariableName));
    }

    /// <summary>What the parameter is for, shown to whoever must give it.</summary>
    public static IResourceBuilder<ParameterResource> WithDescription(
        this IResourceBuilder<ParameterResource> builder, string description, bool enableMarkdown = false)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.Resource.Description = description;
        builder.Resource.EnableDescriptionMarkdown = enableMarkdown;
        return builder;
    }

    /// <summary>A secret that is generated once and kept; not added to the model.</summary>
    public static ParameterResource CreateDefaultPasswordParameter(
        IDistributedApplicationBuilder builder,
        string name,
        bool lower = true,
        bool upper = true,
        bool numeric = true,
        bool special = true,
        int minLower = 0,
        int minUpper = 0,
        int minNumeric = 0,
        int minSpecial = 0) => CreateGeneratedParameter(builder, name, secret: true, new GenerateParameterDefault
        {
            Lower = lower,
            Upper = upper,
            Numeric = numeric,
            Special = special,
            MinLower = minLower,
            MinUpper = minUpper,
            MinNumeric = minNumeric,
            MinSpecial = minSpecial,
        });

    /// <summary>A value that is generated once and kept; not added to the model.</summary>
    public static ParameterResource CreateGeneratedParameter(
        IDistributedApplicationBuilder builder, string name, bool secret, GenerateParameterDefault parameterDefault)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentNullException.ThrowIfNull(parameterDefault);
        return ParameterValues.FromConfiguration(builder, name, secret, Persisted(builder, name, parameterDefault));
    }

    /// <summary>A parameter that is not added to the model.</summary>
    public static ParameterResource CreateParameter(IDistributedApplicationBuilder builder, string name, bool secret)
    {
        ArgumentNullException.ThrowIfNull(builder);
        return ParameterValues.FromConfiguration(builder, name, secret, fallback: null);
    }

    private static ParameterDefault Persisted(IDistributedApplicationBuilder builder, string name, ParameterDefault value) =>
        builder.ExecutionContext.IsRunMode && UserSecretsFile.Of(builder.AppHostAssembly) is { } secrets
            ? new PersistedParameterDefault(secrets, ParameterValues.Key(name), value)
            : value;
}

/// <summary>How a parameter's value is found.</summary>
internal static class ParameterValues
{
    public static string Key(string name) => $"Parameters:{name}";

    public static ParameterResource FromConfiguration(
        IDistributedApplicationBuilder builder, string name, bool secret, ParameterDefault? fallback)
    {
        var configuration = builder.Configuration;
        return new ParameterResource(name, given => Get(configuration, name, Key(name), given), secret) { Default = fallback };
    }

    /// <summary>
    /// The configured value, else that of the key with <c>_</c> for <c>-</c> (environment variables cannot have hyphens), else the default.
    /// </summary>
    /// <exception cref="MissingParameterValueException">There is none.</exception>
    public static string Get(IConfiguration configuration, string name, string key, ParameterDefault? fallback)
    {
        string?[] given = [configuration[key], configuration[key.Replace('-', '_')]];
        if (given.FirstOrDefault(value => !string.IsNullOrEmpty(value)) is { } value)
        {
            return value;
        }

        return fallback?.GetDefaultValue() ?? throw new MissingParameterValueException(
            $"Parameter resource could not be used because configuration key '{key}' is missing and the Parameter '{name}' has no default value.");
    }
}
