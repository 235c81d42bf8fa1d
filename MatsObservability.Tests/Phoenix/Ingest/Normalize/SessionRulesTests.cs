using MatsObservability.Tests.Support;
using Microsoft.Extensions.Options;
using Phoenix.Service.Ingest.Normalize;

namespace MatsObservability.Tests.Phoenix.Ingest.Normalize;

/// <summary>The operator's file of attributes that name sessions.</summary>
[Trait("Req", "M21")]
public sealed class SessionRulesTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    [Fact]
    public void Session_ByTheRules_ComesBeforeTheBuiltInOnes_FirstRuleFirst()
    {
        using var decoding = Rules("""["chat.id", {"attribute": "ticket", "prefix": "ticket:"}]""");

        Assert.Equal("c", decoding.Row(("ticket", "t"), ("session.id", "s"), ("chat.id", " c ")).SessionId);
        Assert.Equal("ticket:7", decoding.Row(("session_id", "s"), ("ticket", 7)).SessionId);
        Assert.Equal("ticket:t", decoding.Row(("chat.id", "  "), ("ticket", "t"), ("session.id", "s")).SessionId);
    }

    [Fact]
    public void Session_OfSpansWithoutAnAttributeOfTheRules_IsThatOfTheBuiltInOnes()
    {
        using var decoding = Rules("""[{"attribute": "ticket", "prefix": "ticket:"}]""");

        Assert.Equal("s", decoding.Row(("session.id", "s"), ("ticket", "  ")).SessionId);
        Assert.Equal("c", decoding.Row(("gen_ai.conversation.id", "c")).SessionId);
        Assert.Equal("user:ann@example.com", decoding.Row(("user.email", "ann@example.com")).SessionId);
        Assert.Null(decoding.Row(("other", "t")).SessionId);
    }

    [Fact]
    public void Session_OfAnAttributeSentTwice_IsTheLaterValue()
    {
        using var decoding = Rules("""["chat.id"]""");

        Assert.Equal("later", decoding.Row(("chat.id", "earlier"), ("chat.id", "later")).SessionId);
    }

    [Fact]
    public void Session_OfTheResourceByTheRules_CountsWhereTheSpanNamesNone()
    {
        using var decoding = Rules("""[{"attribute": "ticket", "prefix": "ticket:"}]""");
        var request = Decoding.Request(Decoding.Span(), Decoding.Span(("session.id", "of the span")));
        request.ResourceSpans[0].Resource.Attributes.Add(Decoding.Attribute("session.id", "s"));
        request.ResourceSpans[0].Resource.Attributes.Add(Decoding.Attribute("ticket", "t"));

        Assert.Equal(["ticket:t", "of the span"], decoding.Rows(request).Select(row => row.SessionId));
    }

    [Fact]
    [Trait("Req", "B131")]
    public void Session_OfARedactedAttribute_IsWhatRedactionLeaves()
    {
        using var plain = Rules("""[{"attribute": "ticket", "prefix": "ticket:"}]""");
        using var hashing = Rules("""[{"attribute": "ticket", "prefix": "ticket:"}]""", "hash ticket");
        using var dropping = Rules("""["ticket", "session.id"]""", "drop ticket");
        using var masking = Rules("""["ticket"]""", @"mask ticket /\d+/");

        var row = hashing.Row(("ticket", "4711"));

        Assert.Equal("ticket:4711", plain.Row(("ticket", "4711")).SessionId);
        Assert.Equal("ticket:" + row.Attributes.GetProperty("ticket").GetString(), row.SessionId);
        Assert.DoesNotContain("4711", row.SessionId, StringComparison.Ordinal);
        Assert.Equal("s", dropping.Row(("ticket", "4711"), ("session.id", "s")).SessionId);
        Assert.Equal("number ***", masking.Row(("ticket", "number 4711")).SessionId);
        Assert.Equal("***", plain.Row(("ticket", "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789")).SessionId![^3..]);
    }

    [Fact]
    public void Session_LongerThanAName_IsCutAndMarkedOnce()
    {
        using var decoding = Rules("""[{"attribute": "ticket", "prefix": "ticket:"}]""");

        var session = decoding.Row(("ticket", new string('x', 5000))).SessionId!;

        Assert.StartsWith("ticket:xxx", session);
        Assert.EndsWith(" …[truncated, 5007 bytes in all]", session);
    }

    [Fact]
    [Trait("Req", "A09")]
    public void Example_NamesTheSessionsThatTheBuiltInRulesName_AndItsOwnAfterThem()
    {
        using var builtIn = new Decoding();
        using var decoding = new Decoding(options => options.SessionRulesFile =
            Path.Combine(Repository.Root, "agent-observability", "session-rules.json"));
        var keys = new[]
        {
            "session.id", "session_id", "openinference.session.id", "gen_ai.conversation.id", "langfuse.session.id",
            "ai.telemetry.metadata.sessionId", "traceloop.association.properties.session_id",
        };

        for (var first = 0; first < keys.Length; first++)
        {
            var attributes = keys[first..].Reverse().Select(key => (key, (object)$"of {key}")).Append(("chat.id", "c")).ToArray();
            Assert.Equal($"of {keys[first]}", builtIn.Row(attributes).SessionId);
            Assert.Equal($"of {keys[first]}", decoding.Row(attributes).SessionId);
        }

        Assert.Equal("c", decoding.Row(("user.email", "ann@example.com"), ("ticket.id", 7), ("chat.id", "c")).SessionId);
        Assert.Equal("ticket:7", decoding.Row(("user.email", "ann@example.com"), ("ticket.id", 7)).SessionId);
        Assert.Equal("user:ann@example.com", decoding.Row(("user.email", "ann@example.com")).SessionId);
    }

    [Theory]
    [InlineData("""{"attribute": "a"}""", "must hold a list")]
    [InlineData("[", "is not JSON at line 1")]
    [InlineData("[\n\"a\",\nb]", "is not JSON at line 3")]
    [InlineData("[]", "must list from 1 to 32 attributes, lists 0")]
    [InlineData("""["a", 5]""", "entry 2 must be an attribute's name")]
    [InlineData("""["a", null]""", "entry 2 must be an attribute's name")]
    [InlineData("""["a", {"prefix": "p"}]""", "entry 2 must be an attribute's name")]
    [InlineData("""["a", "  "]""", "entry 2 must name an attribute, the name is empty")]
    [InlineData("""["a", {"attribute": ""}]""", "entry 2 must name an attribute, the name is empty")]
    [InlineData("""["a", {"attribute": "b", "perfix": "p"}]""", "entry 2 must have the members")]
    [InlineData("""["a", {"attribute": "b", "prefix": 5}]""", "entry 2 must have the members")]
    [InlineData("""["a", {"attribute": "b", "prefix": "\u0000"}]""", "entry 2 must have a prefix without control characters")]
    [InlineData("""["a", "b", {"attribute": "a", "prefix": "p"}]""", "entry 3 names 'a', which entry 1 does already")]
    [InlineData("""["\ud800"]""", "holds text that is not Unicode")]
    public void File_WithAFault_IsToldWithKeyFileAndEntry(string json, string fault)
    {
        var path = Write(json);

        var told = Assert.Single(NormalizeOptions.Check(new NormalizeOptions { SessionRulesFile = path }));

        Assert.StartsWith("Phoenix:Normalize:SessionRulesFile", told);
        Assert.Contains($"'{path}' {fault}", told, StringComparison.Ordinal);
    }

    [Fact]
    public void File_WithSeveralFaults_TellsAllOfThem()
    {
        var entries = Enumerable.Range(0, 40).Select(index => $"\"key{index}\"")
            .Concat([$"\"{new string('é', 129)}\"", "true", $$"""{"attribute": "a", "prefix": "{{new string('p', 65)}}"}"""]);

        var faults = NormalizeOptions.Check(new NormalizeOptions { SessionRulesFile = Write($"[{string.Join(',', entries)}]") }).ToList();

        Assert.Equal(4, faults.Count);
        Assert.Contains("must list from 1 to 32 attributes, lists 43", faults[0], StringComparison.Ordinal);
        Assert.Contains("entry 41 must name an attribute with at most 256 bytes", faults[1], StringComparison.Ordinal);
        Assert.Contains("entry 42 must be", faults[2], StringComparison.Ordinal);
        Assert.Contains("entry 43 must have a prefix of at most 64 bytes", faults[3], StringComparison.Ordinal);
    }

    [Fact]
    public void File_ThatIsMissingOrTooLarge_IsNamed()
    {
        var missing = Path.Combine(_folder.Path, "none.json");
        var large = Write($"[\"{new string('x', 70_000)}\"]");

        Assert.EndsWith($"must name a file, got '{missing}'", Fault(missing));
        Assert.EndsWith($"must name a file, got '{_folder.Path}'", Fault(_folder.Path));
        Assert.Contains($"'{large}' must have at most 65536 bytes", Fault(large), StringComparison.Ordinal);

        static string Fault(string path) => Assert.Single(NormalizeOptions.Check(new NormalizeOptions { SessionRulesFile = path }));
    }

    [Fact]
    [Trait("Req", "M23")]
    public void Service_WithAFaultyFile_DoesNotStart()
    {
        var path = Write("""["a", 5, ""]""");

        var refused = Assert.Throws<OptionsValidationException>(
            () => global::Phoenix.Service.Program.Build([$"--PHOENIX_SESSION_EVALUATOR_FILE_PATH={path}"]));

        Assert.Equal(2, refused.Failures.Count(fault => fault.Contains($"'{path}' entry ", StringComparison.Ordinal)));
    }

    public void Dispose() => _folder.Dispose();

    private Decoding Rules(string json, params string[] redact) =>
        new(options => options.SessionRulesFile = Write(json), options => options.Rules = redact);

    private string Write(string json)
    {
        var path = Path.Combine(_folder.Path, Path.GetRandomFileName());
        File.WriteAllText(path, json);
        return path;
    }
}
