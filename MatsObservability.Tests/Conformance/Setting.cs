using System.Collections;
using System.Reflection;
using MatsObservability.ServiceDefaults;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;
using Orchestrator.Agent;

namespace MatsObservability.Tests.Conformance;

/// <summary>The two services that people configure.</summary>
public enum ServiceName
{
    Phoenix,
    Orchestrator,
}

/// <summary>One setting: its configuration path and the type of its value (a list of texts is <c>string[]</c>).</summary>
internal sealed record Setting(string Path, Type Type)
{
    /// <summary>Every setting of every options class that <paramref name="service"/> reads, items of lists as their first.</summary>
    public static IReadOnlyList<Setting> Of(ServiceName service)
    {
        var own = service == ServiceName.Phoenix ? typeof(global::Phoenix.Service.Program).Assembly : typeof(MatsOptions).Assembly;
        return
        [
            .. from type in own.GetTypes().Concat(typeof(HttpResilienceOptions).Assembly.GetTypes())
               let section = type.GetField("Section", BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Static)
               where section?.IsLiteral == true
               from setting in Of(type, (string)section.GetRawConstantValue()!)
               select setting,
        ];
    }

    /// <summary>What the service says when it is to start with <paramref name="settings"/>; nothing when it accepts them.</summary>
    public static IReadOnlyList<string> Faults(ServiceName service, IEnumerable<(string Path, string Value)> settings)
    {
        var all = new Dictionary<string, string?> { ["ConnectionStrings:phoenixdb"] = "Host=localhost" };
        foreach (var (path, value) in settings)
        {
            all[path] = value;
        }

        try
        {
            var app = service == ServiceName.Phoenix
                ? global::Phoenix.Service.Program.Build([.. all.Select(setting => $"--{setting.Key}={setting.Value}")])
                : OrchestratorApp.Build([], builder => builder.Configuration.AddInMemoryCollection(all));
            ((IDisposable)app).Dispose();
            return [];
        }
        catch (OptionsValidationException refused)
        {
            return [.. refused.Failures];
        }
    }

    /// <summary>Whether <paramref name="fault"/> is about this setting.</summary>
    public bool IsNamedBy(string fault) =>
        fault.StartsWith(Path, StringComparison.Ordinal) && (fault.Length == Path.Length || fault[Path.Length] is ' ' or ':');

    private static IEnumerable<Setting> Of(Type options, string section)
    {
        var defaults = Activator.CreateInstance(options)!;
        foreach (var property in options.GetProperties(BindingFlags.Public | BindingFlags.Instance))
        {
            var path = $"{section}:{property.Name}";
            switch (property.GetValue(defaults))
            {
                case IList<string>:
                    yield return new(path, typeof(string[]));
                    break;
                case IDictionary<string, string>:
                    yield return new($"{path}:entry", typeof(string));
                    break;
                case IList list:
                    foreach (var item in Of(list.GetType().GetGenericArguments()[0], $"{path}:0"))
                    {
                        yield return item;
                    }

                    break;
                default:
                    if (property.CanWrite)
                    {
                        yield return new(path, Nullable.GetUnderlyingType(property.PropertyType) ?? property.PropertyType);
                    }

                    break;
            }
        }
    }
}
