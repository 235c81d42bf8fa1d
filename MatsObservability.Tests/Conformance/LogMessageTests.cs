using System.Reflection;
using MatsObservability.ServiceDefaults;
using Microsoft.Extensions.Logging;
using Orchestrator.Agent;

namespace MatsObservability.Tests.Conformance;

/// <summary>An event id names one message of its program: operators filter and alert by it.</summary>
public sealed class LogMessageTests
{
    [Fact]
    public void EventIds_OfPhoenix_AreUnique() => Assert.Equal([], Repeated(typeof(global::Phoenix.Service.Program).Assembly));

    [Fact]
    public void EventIds_OfTheOrchestrator_AreUnique() => Assert.Equal([], Repeated(typeof(MatsOptions).Assembly));

    private static List<int> Repeated(Assembly assembly)
    {
        var ids = assembly.GetTypes().Concat(typeof(HttpResilienceOptions).Assembly.GetTypes())
            .SelectMany(type => type.GetMethods(BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly))
            .Select(method => method.GetCustomAttribute<LoggerMessageAttribute>()?.EventId).OfType<int>().ToList();
        Assert.NotEmpty(ids);
        return [.. ids.GroupBy(id => id).Where(group => group.Count() > 1).Select(group => group.Key)];
    }
}
