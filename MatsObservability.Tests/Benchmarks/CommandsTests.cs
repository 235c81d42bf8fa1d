using System.CommandLine;
using System.Globalization;
using MatsObservability.Benchmarks;
using MatsObservability.Benchmarks.Crash;
using MatsObservability.Benchmarks.Decode;
using MatsObservability.Benchmarks.Ingest;
using MatsObservability.Benchmarks.Rca;

namespace MatsObservability.Tests.Benchmarks;

/// <summary>A mistyped option ends a command before it measures something else than was asked for.</summary>
public sealed class CommandsTests
{
    [Theory]
    [InlineData("nope")]
    [InlineData("ingest --secnds 3")]
    [InlineData("decode --seconds")]
    public async Task Run_WhatItDoesNotKnow_EndsWithTwo(string arguments) =>
        Assert.Equal(2, await Commands.RunAsync(arguments.Split(' ')));

    [Theory]
    [InlineData("decode --seconds abc", "--seconds must be a number above 0, got 'abc'.")]
    [InlineData("decode --spans 2.5", "--spans must be a whole number above 0, got '2.5'.")]
    [InlineData("ingest --connections -1", "--connections must be a whole number above 0, got '-1'.")]
    [InlineData("ingest --writers 1,x", "--writers must be like 1,2,4, got '1,x'.")]
    [InlineData("ingest --batches 512,/5s", "--batches must be like 512,2048,2048/5s, got '512,/5s'.")]
    [InlineData("ingest --postgres jit", "--postgres must be NAME=VALUE, got 'jit'.")]
    [InlineData("rca", "rca needs one of --cases and --generated.")]
    [InlineData("rca --cases nowhere", "--cases must name a folder with labels.json, cases/ and baseline/, got 'nowhere'.")]
    public void Parse_BadArgument_NamesIt(string arguments, string error) =>
        Assert.Equal(error, Assert.Single(Parse(arguments).Errors).Message);

    [Fact]
    public void Parse_OptionsOfIngest_AreRead()
    {
        var command = new Command("ingest");
        var read = IngestSettings.AddTo(command);

        var settings = read(command.Parse("--seconds 2.5 --stored 20000000 --paced --postgres a=1 --postgres b=2 --writers 1,2 --batches 8/5s"));

        Assert.Equal((TimeSpan.FromSeconds(2.5), 20_000_000, true, false), (
            settings.Duration, settings.Stored, settings.IsPaced, settings.LeavesMemoryFresh));
        Assert.Equal((4, 2000, 20_000, TimeSpan.Zero), (settings.Connections, settings.SpansPerRequest, settings.Rate, settings.Watch));
        Assert.Equal(new() { ["a"] = "1", ["b"] = "2" }, settings.Postgres);
        Assert.Equal(["writers_1", "writers_2"], settings.Writers.Select(variant => variant.Name));
        var batch = Assert.Single(settings.Batches);
        Assert.Equal(("batch_8/5s", "8", "5s"), (
            batch.Name, batch.Phoenix["Phoenix__Storage__MaxBatchRecords"], batch.Phoenix["Phoenix__Storage__Linger"]));
    }

    [Fact]
    public void Parse_MachineThatWritesCommas_ReadsNumbersAlike()
    {
        var usual = CultureInfo.CurrentCulture;
        try
        {
            CultureInfo.CurrentCulture = new CultureInfo("de-DE");
            var seconds = Arguments.Number("--seconds", 3.0, "");

            Assert.Equal(2.5, new Command("any") { seconds }.Parse("--seconds 2.5").GetValue(seconds));
        }
        finally
        {
            CultureInfo.CurrentCulture = usual;
        }
    }

    private static ParseResult Parse(string arguments) => new RootCommand
    {
        IngestBenchmark.Create(), DecodeBenchmark.Create(), CrashBenchmark.Create(), RcaCommand.Create(),
    }.Parse(arguments);
}
