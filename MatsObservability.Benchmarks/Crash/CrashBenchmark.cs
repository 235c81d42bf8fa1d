using System.CommandLine;
using System.Globalization;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using MatsObservability.Benchmarks.Load;
using Spectre.Console;

namespace MatsObservability.Benchmarks.Crash;

/// <summary>What is broken at a random moment of a trial.</summary>
internal enum CrashMode
{
    /// <summary>The server is killed as by <c>kill -9</c> and started again.</summary>
    Server,

    /// <summary>PostgreSQL is restarted as by <c>pg_ctl restart -m immediate</c>.</summary>
    Postgres,

    /// <summary>Two replicas serve; one of them is killed.</summary>
    Replicas,

    /// <summary>Every request is sent twice, at once, over two connections; the server is killed.</summary>
    Twice,
}

/// <summary>
/// <c>crash</c>: what becomes of acknowledged spans when something dies under load. A sender repeats what was not acknowledged, as OTLP
/// exporters do; then every span must be stored exactly once.
/// </summary>
internal static class CrashBenchmark
{
    private const string AllModes = "all";
    private const int SpansPerRequest = 200;

    /// <summary>The command; its exit code is 1 when a span was lost or stored twice.</summary>
    public static Command Create()
    {
        var trials = Arguments.Number("--trials", 20, "trials of each mode");
        var connections = Arguments.Number("--connections", 4, "senders");
        var mode = new Option<string>("--mode") { Description = "what dies", DefaultValueFactory = static _ => "server" };
        mode.AcceptOnlyFromAmong([.. Enum.GetNames<CrashMode>().Select(static name => name.ToLowerInvariant()), AllModes]);
        var json = Arguments.Json();
        var command = new Command("crash", "kill -9 under load") { trials, mode, connections, json };
        command.SetAction((given, cancellationToken) =>
        {
            var chosen = given.GetValue(mode)!;
            return RunAsync(
                chosen == AllModes ? Enum.GetValues<CrashMode>() : [Enum.Parse<CrashMode>(chosen, ignoreCase: true)],
                given.GetValue(trials), given.GetValue(connections), given.GetValue(json), cancellationToken);
        });
        return command;
    }

    private static async Task<int> RunAsync(
        CrashMode[] modes, int trials, int connections, FileInfo? json, CancellationToken cancellationToken)
    {
        var total = new Tally();
        var table = new Table().AddColumns("mode", "trials", "acked", "lost", "duplicates", "repeated requests");
        foreach (var mode in modes)
        {
            var tally = await RunAsync(mode, trials, connections, cancellationToken);
            table.AddRow(
                mode.ToString(),
                trials.ToString(
                    CultureInfo.InvariantCulture), $"{tally.Acknowledged:N0}", $"{tally.Lost:N0}", $"{tally.Duplicates:N0}", $"{tally.Repeated:N0}");
            total = new Tally(total.Acknowledged + tally.Acknowledged, total.Lost + tally.Lost, total.Duplicates + tally.Duplicates,
                total.Repeated + tally.Repeated);
        }

        AnsiConsole.Write(table);
        await Figures.WriteAsync(json, new JsonObject
        {
            ["trials"] = trials * modes.Length, ["acked"] = total.Acknowledged, ["lost"] = total.Lost, ["duplicates"] = total.Duplicates,
        }, cancellationToken);
        return total.Lost + total.Duplicates == 0 ? 0 : 1;
    }

    /// <summary>Runs <paramref name="trials"/> trials of one mode on a system of its own.</summary>
    public static async Task<Tally> RunAsync(CrashMode mode, int trials, int connections, CancellationToken cancellationToken)
    {
        await using var system = await SystemUnderTest.StartAsync(new SystemOptions(), cancellationToken);
        var targets = new List<PhoenixProcess> { system.Phoenix };
        if (mode == CrashMode.Replicas)
        {
            targets.Add(await system.AddPhoenixAsync(cancellationToken));
        }

        var senders = new List<CrashSender>();
        for (var index = 0; index < connections; index++)
        {
            senders.Add(new CrashSender(index, targets, SpansPerRequest, twice: mode == CrashMode.Twice));
        }

        for (var trial = 0; trial < trials; trial++)
        {
            using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            var sending = senders.ConvertAll(sender => Task.Run(() => sender.RunAsync(stop.Token), cancellationToken));
            await Task.Delay(TimeSpan.FromMilliseconds(Random.Shared.Next(200, 2000)), cancellationToken);
            if (mode == CrashMode.Postgres)
            {
                await system.Postgres.RestartAsync(immediate: true, cancellationToken);
            }
            else
            {
                var victim = targets[Random.Shared.Next(targets.Count)];
                await victim.KillAsync();
                await victim.StartAsync(cancellationToken);
            }

            // Every sender gets something through after the crash, so recovery is shown as well.
            await Task.WhenAll(senders.Select(sender => sender.WaitForAnotherAsync(TimeSpan.FromSeconds(180), cancellationToken)));
            await stop.CancelAsync();
            await Task.WhenAll(sending);
        }

        return await CountAsync(system, senders, cancellationToken);
    }

    private static async Task<Tally> CountAsync(SystemUnderTest system, List<CrashSender> senders, CancellationToken cancellationToken)
    {
        var (acknowledged, missing) = (0L, 0L);
        foreach (var sender in senders)
        {
            acknowledged += sender.Acknowledged.Count;
            foreach (var serials in sender.Acknowledged.Chunk(1000))
            {
                // A request's traces share the last eight bytes of their ids.
                var endings = string.Join(',', serials.Select(serial => $"'{serial:x16}'"));
                missing += (serials.Length * SpansPerRequest) - await system.ScalarAsync<long>(
                    $"SELECT count(*) FROM (SELECT DISTINCT trace_id, span_id FROM spans WHERE right(replace(trace_id::text, '-', ''), 16) IN ({endings})) AS stored", cancellationToken);
            }
        }

        var duplicates = await system.ScalarAsync<long>(
            "SELECT count(*) - count(DISTINCT (trace_id, span_id)) FROM spans", cancellationToken);
        return new Tally(acknowledged * SpansPerRequest, missing, duplicates, senders.Sum(sender => sender.Repeated));
    }
}

/// <summary>Spans acknowledged, of these not stored, stored more than once; and requests sent again.</summary>
internal readonly record struct Tally(long Acknowledged, long Lost, long Duplicates, long Repeated);

/// <summary>Sends requests one after the other, each until it is acknowledged or the trial ends; remembers what was acknowledged.</summary>
internal sealed class CrashSender(int index, List<PhoenixProcess> targets, int spansPerRequest, bool twice)
{
    private readonly LoadRequest _request = new SpanLoad(index + 1).Next(spansPerRequest);
    private readonly bool _grpc = index % 2 == 0;
    private ulong _serial = (ulong)(index + 1) << 40;
    private int _target = index;
    private long _acknowledged;

    /// <summary>Serials of acknowledged requests.</summary>
    public List<ulong> Acknowledged { get; } = [];

    /// <summary>Requests sent again because their answer was a refusal or never came.</summary>
    public long Repeated { get; private set; }

    /// <summary>Sends until <paramref name="stop"/>.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        var connections = new OtlpConnection?[twice ? 2 : 1];
        try
        {
            while (!stop.IsCancellationRequested)
            {
                _request.Stamp(++_serial, LoadRun.NowNanos());
                while (!await TrySendAsync(connections, stop))
                {
                    Repeated++;
                    await Task.Delay(20, stop);
                }

                Acknowledged.Add(_serial);
                Interlocked.Increment(ref _acknowledged);
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // The trial ends; what was not acknowledged may or may not be stored.
        }
        finally
        {
            foreach (var connection in connections.OfType<OtlpConnection>())
            {
                await connection.DisposeAsync();
            }
        }
    }

    /// <summary>Waits until one more request than now is acknowledged.</summary>
    /// <exception cref="TimeoutException">None was in time.</exception>
    public async Task WaitForAnotherAsync(TimeSpan limit, CancellationToken cancellationToken)
    {
        var before = Interlocked.Read(ref _acknowledged);
        var started = TimeProvider.System.GetTimestamp();
        while (Interlocked.Read(ref _acknowledged) == before)
        {
            if (TimeProvider.System.GetElapsedTime(started) > limit)
            {
                throw new TimeoutException("The system did not take requests again in time.");
            }

            await Task.Delay(10, cancellationToken);
        }
    }

    /// <summary>True when every copy of the request was acknowledged.</summary>
    private async Task<bool> TrySendAsync(OtlpConnection?[] connections, CancellationToken stop)
    {
        var sends = new Task<bool>[connections.Length];
        for (var copy = 0; copy < sends.Length; copy++)
        {
            sends[copy] = TrySendAsync(connections, copy, stop);
        }

        return Array.TrueForAll(await Task.WhenAll(sends), sent => sent);
    }

    private async Task<bool> TrySendAsync(OtlpConnection?[] connections, int copy, CancellationToken stop)
    {
        try
        {
            var target = targets[_target % targets.Count];
            connections[copy] ??= await OtlpConnection.ConnectAsync(_grpc ? target.GrpcUrl : target.OtlpHttpUrl, _grpc, stop);
            return await connections[copy]!.ExportAsync(_request.Bytes, stop) == ExportAnswer.Stored;
        }
        catch (Exception exception) when (exception is IOException or SocketException)
        {
            if (connections[copy] is { } broken)
            {
                await broken.DisposeAsync();
                connections[copy] = null;
            }

            _target++;
            return false;
        }
    }
}
