using Phoenix.Service.Storage;
using Phoenix.Service.Ui;
using Phoenix.Service.Ui.Components;
using Phoenix.Service.Ui.Models;

namespace MatsObservability.Tests.Phoenix.Ui;

public sealed class ModelTests
{
    [Fact]
    public void ChatMessage_FlattenedAttributes_BecomeTurns()
    {
        var attributes = new AttributeSet(
            """
            {"llm.input_messages.10.message.role":"user","llm.input_messages.10.message.content":"last",
             "llm.input_messages.2.message.role":"system","llm.input_messages.2.message.contents.0.message_content.type":"image",
             "llm.input_messages.2.message.contents.0.message_content.image.image.url":"http://x/y.png",
             "llm.input_messages.x.message.role":"ignored"}
            """,
            derived: """{"llm.input_messages.10.message.role":"assistant","llm.input_messages.2.message.tool_calls.0.tool_call.function.name":"find"}""");

        var messages = ChatMessage.Read(attributes, "input");

        Assert.Equal(["system", "user"], messages.Select(message => message.Role));
        Assert.Equal(new ChatPart("image", "http://x/y.png"), Assert.Single(messages[0].Parts));
        Assert.Equal("find", Assert.Single(messages[0].ToolCalls).Name);
        Assert.Equal("last", messages[1].Parts[0].Text);
    }

    [Fact]
    public void AttributeSet_SpecialValues_BecomeText()
    {
        var attributes = new AttributeSet(
            """{"nan":{"$double":"NaN"},"bytes":{"$bytes":"AQI="},"list":[1,"a"],"flag":true,"whole":5.0,"nothing":null}""", derived: null);

        Assert.Equal("NaN", attributes["nan"]);
        Assert.Equal("AQI=", attributes["bytes"]);
        Assert.Equal("""[1,"a"]""", attributes["list"]);
        Assert.Equal("true", attributes["flag"]);
        Assert.Equal("5.0", attributes["whole"]);
        Assert.Null(attributes["nothing"]);
    }

    [Theory]
    [InlineData("""{"user_request":"why?","other":1}""", "why?")]
    [InlineData("plain text", "plain text")]
    [InlineData("{broken", "{broken")]
    [InlineData("{\"question\":\"\\ud800\"}", "{\"question\":\"\\ud800\"}")]
    [InlineData("""{"n":1}""", """{"n":1}""")]
    public void Preview_Input_IsTheQuestionItself(string input, string expected) =>
        Assert.Equal(
            expected,
            Preview.Whole(
                new AttributeSet(System.Text.Json.JsonSerializer.Serialize(new Dictionary<string, string> { ["input.value"] = input }),
                    derived: null), "input"));

    [Theory]
    [InlineData("""{"a":[1,2]}""", true)]
    [InlineData("[]", true)]
    [InlineData("\"text\"", false)]
    [InlineData("{not json}", false)]
    [InlineData("[1,2", false)]
    [InlineData("", false)]
    public void IsJson_OnlyObjectsAndArrays(string text, bool expected) => Assert.Equal(expected, JsonText.IsJson(text));

    [Fact]
    public void TimeRange_BoundsThatNanosecondsCannotHold_AreTheLastThatTheyCan()
    {
        var range = TimeRange.Parse(name: null, "0001-01-01", "9999-12-31", TimeProvider.System);

        Assert.Equal((long.MinValue, long.MaxValue), (range.StartNanos, range.EndNanos));
    }

    [Theory]
    [InlineData(0, "0")]
    [InlineData(999, "999 ns")]
    [InlineData(1_500, "1.5 µs")]
    [InlineData(12_340_000, "12.3 ms")]
    [InlineData(59_990_000_000, "60 s")]
    [InlineData(120_000_000_000, "2 m")]
    [InlineData(125_000_000_000, "2 m 05 s")]
    [InlineData(7_500_000_000_000, "2 h 05 m")]
    public void Duration_EveryMagnitude_IsReadable(long nanos, string expected) => Assert.Equal(expected, Format.Duration(nanos));

    [Theory]
    [InlineData(null, "–")]
    [InlineData(0L, "$0")]
    [InlineData(1L, "<$0.000001")]
    [InlineData(2_400_000_000L, "$0.0024")]
    [InlineData(1_234_500_000_000_000L, "$1,234.50")]
    public void Cost_EveryMagnitude_IsReadable(long? picoUsd, string expected) => Assert.Equal(expected, Format.Cost(picoUsd));

    [Fact]
    public void Quantile_Interpolates_WithinTheBucket()
    {
        var buckets = new long[17];
        buckets[7] = 10; // 0.5 s to 1 s

        Assert.Equal(0.75e9, ActivityView.Quantile(buckets, 0.5)!.Value, 1.0);
        Assert.Null(ActivityView.Quantile(new long[17], 0.5));
    }

    [Fact]
    public void Trim_LargeSpan_KeepsWhatTheFactsReadAlone()
    {
        var row = new SpanRow(
            1, Guid.Empty, 1, null, 0, 1, "run", 1, 1, 0, null, 1, 1, null, null, null, null, 10, 5, null,
            $$"""{"input.value":"{{new string('x', 100_000)}}","gen_ai.response.id":"r-1","rca.status":"Success","evaluation.score":0.5}""",
            null, null, null, null, null);

        var trimmed = TraceFacts.Trim(row);

        Assert.Equal("""{"rca.status":"Success","evaluation.score":"0.5","gen_ai.response.id":"r-1"}""", trimmed.Attributes);
        Assert.Equal("{}", TraceFacts.Trim(row with { Attributes = """{"a":1}""" }).Attributes);
    }

    [Theory]
    [InlineData("a/b", "UHJvamVjdDo3")]
    [InlineData("..", "UHJvamVjdDo3")]
    [InlineData("UHJvamVjdDo5", "UHJvamVjdDo3")]
    [InlineData("plain name", "plain name")]
    public void Identifier_NameThatNoPathCanHold_IsTheId(string name, string expected) => Assert.Equal(expected, Links.Identifier(7, name));
}
