using Aspire.Hosting;

namespace MatsObservability.Tests.Conformance;

/// <summary>The hosting library is a subset of the real API: whatever it shows, an AppHost may use against the real packages too.</summary>
[Trait("Req", "B018")]
public sealed class AspireApiTests
{
    [Fact]
    public void PublicSurface_EveryTypeAndMember_IsInTheRealApi()
    {
        var real = RealApi().ToHashSet(StringComparer.Ordinal);

        Assert.Equal([], PublicSurface.Of(typeof(DistributedApplication).Assembly, "Aspire").Where(signature => !real.Contains(signature)));
    }

    [Fact]
    public void PublicSurface_IsNotEmptyAndHasNoOtherPublicNamespaceThanItsOwn()
    {
        var namespaces = typeof(DistributedApplication).Assembly.GetExportedTypes().Select(type => type.Namespace!).Distinct().ToArray();

        Assert.Contains("Aspire.Hosting", namespaces);
        Assert.All(
            namespaces,
            name => Assert.True(
                name.StartsWith("Aspire.", StringComparison.Ordinal)
                    || name.StartsWith("MatsObservability.Hosting", StringComparison.Ordinal), name));
    }

    [Fact]
    public void RealApi_List_IsSortedWithoutRepetition()
    {
        var lines = RealApi().ToArray();

        Assert.Equal(lines.Distinct().Order(StringComparer.Ordinal), lines);
    }

    private static IEnumerable<string> RealApi()
    {
        using var stored = typeof(AspireApiTests).Assembly.GetManifestResourceStream("aspire-api.txt")!;
        using var reader = new StreamReader(stored);
        while (reader.ReadLine() is { } line)
        {
            if (line.Length > 0 && line[0] != '#')
            {
                yield return line;
            }
        }
    }
}
