using MatsObservability.ServiceDefaults;
using Microsoft.Extensions.Configuration.EnvironmentVariables;
using Microsoft.Extensions.Configuration.Memory;

namespace Phoenix.Service.Configuration;

/// <summary>
/// Translates PHOENIX_* variables, from the environment, the command line or a <c>.env.phoenix-observability</c> file, into configuration
/// keys. Precedence: command line and <c>Phoenix__*</c> variables, then PHOENIX_* variables, then the file, then appsettings, then
/// defaults.
/// </summary>
internal static class PhoenixEnvironment
{
    /// <summary>What every variable starts with.</summary>
    public const string Prefix = "PHOENIX_";

    private const string DefaultFile = ".env.phoenix-observability";

    /// <summary>
    /// Adds the translated keys to the configuration; conflicts and unknown names become warnings in the log at start. False when something
    /// cannot be read, so that keys may be missing.
    /// </summary>
    public static bool AddPhoenixEnvironment(this WebApplicationBuilder builder)
    {
        var (_, warnings, faults) = Read(builder.Configuration);
        faults.ForEach(fault => builder.Services.AddFault(fault));
        builder.Services.AddStartWarnings(_ => warnings);
        return faults.Count == 0;
    }

    /// <summary>
    /// Adds the translated keys to <paramref name="configuration"/>; the variables (without prefix), and what was found wrong with them.
    /// </summary>
    public static (Dictionary<string, string> Variables, List<string> Warnings, List<string> Faults) Read(
        ConfigurationManager configuration)
    {
        var variables = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        var unreadable = new List<string>();
        try
        {
            variables = ReadFile(configuration[Prefix + "ENV_FILE"]);
        }
        catch (StartUpException exception)
        {
            // Told together with what is wrong with the other settings.
            unreadable.Add(exception.Message);
        }

        foreach (var (name, value) in configuration.AsEnumerable())
        {
            if (name.StartsWith(Prefix, StringComparison.OrdinalIgnoreCase) && value is not null)
            {
                variables[name[Prefix.Length..].ToUpperInvariant()] = value;
            }
        }

        var (keys, warnings, faults) = Translate(variables);
        var sources = ((IConfigurationBuilder)configuration).Sources;
        var environment = sources.ToList()
            .FindLastIndex(source => source is EnvironmentVariablesConfigurationSource { Prefix: null or "" });
        sources.Insert(environment < 0 ? 0 : environment, new MemoryConfigurationSource { InitialData = keys });
        return (variables, warnings, [.. unreadable, .. faults]);
    }

    /// <summary>
    /// The configuration keys that <paramref name="variables"/> (without prefix) set, one warning a conflict or unknown name, and what
    /// cannot be read; no message holds a value.
    /// </summary>
    public static (Dictionary<string, string?> Keys, List<string> Warnings, List<string> Faults) Translate(
        IReadOnlyDictionary<string, string> variables)
    {
        var keys = new Dictionary<string, string?>(StringComparer.OrdinalIgnoreCase);
        var warnings = new List<string>();
        var faults = new List<string>();
        foreach (var (key, names) in EnvironmentAliases.Table)
        {
            var given = names.Where(name => variables.TryGetValue(name, out var value) && value.Length > 0).ToList();
            if (given.Count == 0)
            {
                continue;
            }

            keys[key] = variables[given[0]];
            foreach (var other in given.Skip(1).Where(other => variables[other] != variables[given[0]]))
            {
                warnings.Add($"{Prefix}{given[0]} and {Prefix}{other} differ; {Prefix}{given[0]} is used");
            }
        }

        if (keys.Remove("Logging:LogLevel:Default", out var level))
        {
            keys["Logging:LogLevel:Default"] = level!.ToUpperInvariant() switch
            {
                "INFO" => "Information",
                "WARN" => "Warning",
                "FATAL" => "Critical",
                _ => level,
            };
        }

        try
        {
            if (DatabaseUrl.FromVariables(variables) is { } connectionString)
            {
                keys["ConnectionStrings:phoenixdb"] = connectionString;
            }
        }
        catch (StartUpException exception)
        {
            faults.Add(exception.Message);
        }

        foreach (var (name, value) in variables.OrderBy(static variable => variable.Key, StringComparer.Ordinal))
        {
            if (EnvironmentAliases.IsUnsupported(name))
            {
                warnings.Add($"{Prefix}{name} belongs to a feature that this version does not have and has no effect");
            }
            else if (!EnvironmentAliases.IsKnown(name))
            {
                warnings.Add($"{Prefix}{name} is not a setting of this service and has no effect");
            }
        }

        return (keys, warnings, faults);
    }

    private static Dictionary<string, string> ReadFile(string? path)
    {
        var variables = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        if (path is not null && !File.Exists(path))
        {
            throw new StartUpException($"PHOENIX_ENV_FILE must name an existing file, got '{path}'");
        }

        path ??= DefaultFile;
        if (File.Exists(path))
        {
            foreach (var (name, value) in EnvFile.Parse(File.ReadAllText(path), path))
            {
                if (name.StartsWith(Prefix, StringComparison.Ordinal))
                {
                    variables[name[Prefix.Length..]] = value;
                }
            }
        }

        return variables;
    }
}
