using System.Text.RegularExpressions;
using MatsObservability.Tests.Support;

namespace MatsObservability.Tests.Conformance;

/// <summary>The rules of dependence of ARCHITECTURE.md, read off the source: which folder may name which namespace.</summary>
public sealed partial class DependencyTests
{
    /// <summary>Folder, and the namespaces its files must not name in a using directive.</summary>
    public static TheoryData<string, string> Rules => new()
    {
        { "Phoenix.Service/Ingest/Decode", @"Npgsql|Phoenix\.Service\.(Query|Ui|Storage\.Postgres)" },
        { "Phoenix.Service/Ingest/Normalize", @"Npgsql|Phoenix\.Service\.(Query|Ui|Storage\.Postgres)" },
        { "Phoenix.Service/Ingest/Receive", @"Npgsql|Phoenix\.Service\.(Query|Ui|Storage\.Postgres)" },
        { "Phoenix.Service/Ingest/Enqueue", @"Npgsql|Phoenix\.Service\.(Query|Ui|Storage\.Postgres)" },
        { "Phoenix.Service/Ingest/Forward", @"Npgsql|Phoenix\.Service\.(Query|Ui|Storage\.Postgres)" },
        { "Phoenix.Service/Cost", @"Npgsql|Phoenix\.Service\.(Query|Ui|Storage\.Postgres|Ingest\.Receive)" },
        { "Phoenix.Service/Storage/Postgres", @"Phoenix\.Service\.(Query|Ui|Ingest\.Receive)" },
        { "Phoenix.Service/Ui", @"Npgsql|Phoenix\.Service\.(Ingest)" },
        { "Orchestrator.Agent/Evidence", @"Npgsql|Orchestrator\.Agent\.(Api|Jobs|Planning|Agents|Rca|Llm)" },
        { "Phoenix.Service", @"MatsObservability\.Hosting|Orchestrator\.Agent" },
        { "Orchestrator.Agent", @"MatsObservability\.Hosting|Phoenix\.Service\." },
        { "MatsObservability.ServiceDefaults", @"MatsObservability\.Hosting|Phoenix\.Service|Orchestrator\.Agent" },
        { "MatsObservability.Hosting/Run", @"MatsObservability\.Hosting\.Publish" },
        { "MatsObservability.Hosting/Publish", @"MatsObservability\.Hosting\.Run" },
    };

    [Theory]
    [MemberData(nameof(Rules))]
    public void Folder_NamesNamespaces_OnlyThoseItMayDependOn(string folder, string forbidden)
    {
        var pattern = new Regex($@"^\s*(@?using\s+(static\s+)?|global using\s+)({forbidden})\b",
            RegexOptions.Multiline | RegexOptions.CultureInvariant, TimeSpan.FromSeconds(5));

        var breaches = Repository.Sources(folder).Where(file => pattern.IsMatch(file.Text)).Select(file => file.Path).ToList();

        Assert.True(breaches.Count == 0, $"{folder} must not use {forbidden}: {string.Join(", ", breaches)}");
    }

    [Fact]
    public void Hosting_IsReferenced_OnlyByAppHostTestsAndBenchmarks()
    {
        var referring = Directory.EnumerateFiles(Repository.Root, "*.csproj", SearchOption.AllDirectories)
            .Where(file => HostingReference().IsMatch(File.ReadAllText(file)))
            .Select(Path.GetFileNameWithoutExtension)
            .Order(StringComparer.Ordinal);

        Assert.Equal(["MatsObservability.AppHost", "MatsObservability.Benchmarks", "MatsObservability.Tests"], referring);
    }

    [Theory]
    [InlineData("Phoenix.Service")]
    [InlineData("Orchestrator.Agent")]
    [InlineData("MatsObservability.Hosting")]
    [InlineData("MatsObservability.ServiceDefaults")]
    [InlineData("MatsObservability.Benchmarks")]
    public void ProductFile_Length_IsReadableInOneGo(string project)
    {
        var tooLong = Repository.Sources(project).Where(file => file.Text.AsSpan().Count('\n') > 400).Select(file => file.Path).ToList();

        Assert.True(tooLong.Count == 0, $"over 400 lines: {string.Join(", ", tooLong)}");
    }

    [GeneratedRegex("<ProjectReference Include=\"[^\"]*MatsObservability\\.Hosting\\.csproj\"", RegexOptions.CultureInvariant, 5000)]
    private static partial Regex HostingReference();
}
