using System.Text.RegularExpressions;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Configuration.EnvironmentVariables;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace MatsObservability.ServiceDefaults;

/// <summary>Settings whose every fault, unreadable value or broken rule, is reported at start, together, each naming its key.</summary>
public static partial class ValidatedOptions
{
    /// <summary>
    /// Binds <typeparamref name="T"/> to <paramref name="section"/>; <paramref name="check"/> yields one sentence a broken rule, which
    /// starts with the key as a configuration path and holds no secret.
    /// </summary>
    public static OptionsBuilder<T> AddValidatedOptions<T>(
        this IServiceCollection services, string section, Func<T, IEnumerable<string>> check)
        where T : class, new()
    {
        services.AddSingleton<IConfigureOptions<T>>(provider => new ConfigureNamedOptions<T>(
            Options.DefaultName, options => SettingBinder.Bind(options, provider.GetRequiredService<IConfiguration>().GetSection(section))));
        services.AddSingleton<IValidateOptions<T>>(provider =>
            new Rules<T>(provider.GetRequiredService<IConfiguration>().GetSection(section), check));
        services.AddSettingCheck(configuration =>
        {
            var options = new T();
            return SettingBinder.Bind(options, configuration.GetSection(section)).Concat(check(options));
        });
        return services.AddOptions<T>().ValidateOnStart();
    }

    /// <summary>Adds a check of settings that no options class holds; it yields sentences as those of an options class.</summary>
    public static void AddSettingCheck(this IServiceCollection services, Func<IConfiguration, IEnumerable<string>> faults) =>
        services.AddSingleton(new SettingCheck(faults));

    /// <summary>Adds a fault found while registering, to be reported together with those of the options.</summary>
    public static void AddFault(this IServiceCollection services, string fault) => services.AddSettingCheck(_ => [fault]);

    /// <summary>
    /// Checks every setting added so far, before anything is built from one of them. A key that was given by environment is named by its
    /// variable too.
    /// </summary>
    /// <param name="builder">The host being built.</param>
    /// <param name="variableOf">The variables that set a key beside <c>Section__Key</c>; null when there are none.</param>
    /// <exception cref="OptionsValidationException">With all faults of all classes.</exception>
    public static void CheckOptions(this IHostApplicationBuilder builder, Func<string, string?>? variableOf = null)
    {
        var configuration = (IConfigurationRoot)builder.Configuration;
        var faults = builder.Services.Select(service => service.ImplementationInstance).OfType<SettingCheck>()
            .SelectMany(check => check.Faults(configuration))
            .Select(fault => SettingPath().Replace(fault, path => AsWritten(path.Value, configuration, variableOf))).ToList();
        if (faults.Count > 0)
        {
            throw new OptionsValidationException(Options.DefaultName, typeof(SettingCheck), faults);
        }
    }

    /// <summary>The options as the configuration has them now; a value that cannot be read counts as not given.</summary>
    public static T Peek<T>(IConfiguration configuration, string section)
        where T : class, new()
    {
        var options = new T();

        // CheckOptions tells the faults.
        SettingBinder.Bind(options, configuration.GetSection(section));
        return options;
    }

    private static string AsWritten(string path, IConfigurationRoot configuration, Func<string, string?>? variableOf)
    {
        // An entry of a list may stand in a text that holds the whole list.
        var given = new[] { path, path[..path.LastIndexOf(':')] }.FirstOrDefault(key =>
            configuration.Providers.LastOrDefault(provider => provider.TryGet(key, out _)) is EnvironmentVariablesConfigurationProvider);
        var variable = given?.Replace(":", "__", StringComparison.Ordinal) ?? variableOf?.Invoke(path);
        return variable is null ? path : $"{path} ({variable})";
    }

    [GeneratedRegex(@"\b[A-Za-z][\w.]*(:\w[\w.]*)+", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex SettingPath();

    private sealed record SettingCheck(Func<IConfiguration, IEnumerable<string>> Faults);

    /// <summary>The same check for a host that never calls <see cref="CheckOptions"/>.</summary>
    private sealed class Rules<T>(IConfigurationSection section, Func<T, IEnumerable<string>> check) : IValidateOptions<T>
        where T : class, new()
    {
        public ValidateOptionsResult Validate(string? name, T options)
        {
            var faults = SettingBinder.Bind(new T(), section).Concat(check(options)).ToList();
            return faults.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(faults);
        }
    }
}
