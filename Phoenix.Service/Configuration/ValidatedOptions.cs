using System.Globalization;
using System.Reflection;
using Microsoft.Extensions.Options;

namespace Phoenix.Service.Configuration;

/// <summary>Options whose every fault, unreadable value or broken rule, is reported at start, together, each naming its key.</summary>
internal static class ValidatedOptions
{
    /// <summary>
    /// Binds <typeparamref name="T"/> to <paramref name="section"/>; <paramref name="check"/> yields one sentence a broken rule.
    /// </summary>
    public static OptionsBuilder<T> AddValidatedOptions<T>(
        this IServiceCollection services, string section, Func<T, IEnumerable<string>> check)
        where T : class, new()
    {
        services.AddSingleton<IConfigureOptions<T>>(provider =>
            new ConfigureNamedOptions<T>(Options.DefaultName,
                options => Bind(options, provider.GetRequiredService<IConfiguration>().GetSection(section))));
        services.AddSingleton<IValidateOptions<T>>(new Rules<T>(check));
        services.AddSingleton(new OptionsCheck(configuration => Faults(configuration.GetSection(section), check)));
        return services.AddOptions<T>().ValidateOnStart();
    }

    /// <summary>Adds a fault found while registering, to be reported together with those of the options.</summary>
    public static void AddFault(this IServiceCollection services, string fault) => services.AddSingleton(new OptionsCheck(_ => [fault]));

    /// <summary>Checks every option added so far, before anything is built from one of them.</summary>
    /// <exception cref="OptionsValidationException">With all faults of all classes.</exception>
    public static void CheckOptions(this WebApplicationBuilder builder)
    {
        var faults = builder.Services.Select(service => service.ImplementationInstance).OfType<OptionsCheck>()
            .SelectMany(check => check.Faults(builder.Configuration)).ToList();
        if (faults.Count > 0)
        {
            throw new OptionsValidationException(Options.DefaultName, typeof(OptionsCheck), faults);
        }
    }

    /// <summary>The options as the configuration has them now; a value that cannot be read counts as not given.</summary>
    public static T Peek<T>(IConfiguration configuration, string section)
        where T : class, new()
    {
        var options = new T();
        try
        {
            Bind(options, configuration.GetSection(section));
        }
        catch (OptionsValidationException)
        {
            // CheckOptions tells it.
        }

        return options;
    }

    /// <summary>
    /// The key of an option as its operator may have written it: configuration path and, when there is one, environment variable.
    /// </summary>
    public static string Key(string section, string property)
    {
        var path = $"{section}:{property}";
        return EnvironmentAliases.VariableOf(path) is { } variable ? $"{path} ({variable})" : path;
    }

    private static IEnumerable<string> Faults<T>(IConfigurationSection section, Func<T, IEnumerable<string>> check)
        where T : class, new()
    {
        var options = new T();
        try
        {
            Bind(options, section);
        }
        catch (OptionsValidationException unreadable)
        {
            return unreadable.Failures.Concat(check(options));
        }

        return check(options);
    }

    private static void Bind<T>(T options, IConfigurationSection section)
        where T : class
    {
        var faults = new List<string>();
        foreach (var property in typeof(T).GetProperties(BindingFlags.Public | BindingFlags.Instance).Where(property => property.CanWrite))
        {
            var child = section.GetSection(property.Name);
            if (property.PropertyType == typeof(string[]))
            {
                var items = child.GetChildren().Select(item => item.Value!).ToArray();
                property.SetValue(options, items.Length > 0 ? items : Split(child.Value) ?? property.GetValue(options));
            }
            else if (child.Value is { } text && !string.IsNullOrWhiteSpace(text))
            {
                if (TryParse(text.Trim(), property.PropertyType, out var value, out var expected))
                {
                    property.SetValue(options, value);
                }
                else
                {
                    faults.Add($"{Key(section.Path, property.Name)} must be {expected}, got '{text}'");
                }
            }
        }

        if (faults.Count > 0)
        {
            throw new OptionsValidationException(Options.DefaultName, typeof(T), faults);
        }
    }

    private static string[]? Split(string? list) =>
        list?.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);

    private static bool TryParse(string text, Type type, out object? value, out string expected)
    {
        type = Nullable.GetUnderlyingType(type) ?? type;
        value = null;
        if (type == typeof(string))
        {
            value = text;
            expected = "text";
        }
        else if (type == typeof(bool))
        {
            expected = "true or false";
            value = text.ToLowerInvariant() switch { "true" or "1" or "yes" or "on" => true, "false" or "0" or "no"
                or "off" => false, _ => null };
        }
        else if (type == typeof(TimeSpan))
        {
            expected = "a duration such as 500ms, 30s, 5m or 00:00:30";
            value = Quantities.TryParseDuration(text, out var duration) ? duration : null;
        }
        else if (type.IsEnum)
        {
            expected = $"one of {string.Join(", ", Enum.GetNames(type)).ToLowerInvariant()}";
            value = Enum.TryParse(type, text, ignoreCase: true, out var name) && Enum.IsDefined(type, name) ? name : null;
        }
        else if (type == typeof(double))
        {
            expected = "a number";
            value = double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) ? number : null;
        }
        else
        {
            expected = type == typeof(int) ? "an integer" : "a size such as 512M, 6G or a number of bytes";
            if (Quantities.TryParseSize(text, out var size) && (type == typeof(long) || size is >= int.MinValue and <= int.MaxValue))
            {
                value = type == typeof(long) ? (object)size : (int)size;
            }
        }

        return value is not null;
    }

    private sealed record OptionsCheck(Func<IConfiguration, IEnumerable<string>> Faults);

    private sealed class Rules<T>(Func<T, IEnumerable<string>> check) : IValidateOptions<T>
        where T : class
    {
        public ValidateOptionsResult Validate(string? name, T options)
        {
            var faults = check(options).ToList();
            return faults.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(faults);
        }
    }
}
