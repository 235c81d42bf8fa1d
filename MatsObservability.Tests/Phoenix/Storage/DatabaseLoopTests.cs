using MatsObservability.Tests.Support;
using Npgsql;
using Phoenix.Service.Storage;
using Phoenix.Service.Storage.Postgres;

namespace MatsObservability.Tests.Phoenix.Storage;

public sealed class DatabaseLoopTests
{
    private static readonly TimeSpan s_pause = TimeSpan.FromSeconds(10);

    private readonly TestTime _time = new(DateTimeOffset.UnixEpoch);
    private readonly DatabaseState _state;

    public DatabaseLoopTests() => _state = new DatabaseState(_time);

    [Fact]
    public async Task Start_DatabaseNotReady_BeginsWhenItIsAndAfterTheFirstPause()
    {
        using var loop = new Loop(_state, _time, s_pause, () => s_pause);
        await loop.StartAsync(CancellationToken.None);

        // One that starts later over a database that is ready gets as far as its pause meanwhile.
        var ready = new DatabaseState(_time);
        ready.SetReady();
        using (var other = new Loop(ready, _time, s_pause, () => s_pause))
        {
            await other.StartAsync(CancellationToken.None);
            await Eventually.TrueAsync(() => _time.TimerCount > 0);
            Assert.Equal((false, true, 1), (loop.IsAsked, other.IsAsked, _time.TimerCount));
            await other.StopAsync(CancellationToken.None);
        }

        _state.SetReady();
        await PassesAsync(s_pause);

        await Eventually.TrueAsync(() => loop.Steps == 1);
        await loop.StopAsync(CancellationToken.None);
    }

    [Fact]
    public async Task Step_WithAPause_IsRepeatedAfterItAndWithoutOneAtOnce()
    {
        var pauses = new Queue<TimeSpan>([TimeSpan.Zero, s_pause, s_pause]);
        using var loop = await StartAsync(() => pauses.Dequeue());

        // The first one asked for no pause.
        await Eventually.TrueAsync(() => loop.Steps == 2);
        var fired = _time.Fired;
        await PassesAsync(s_pause - TimeSpan.FromTicks(1));
        Assert.Equal((fired, 2), (_time.Fired, loop.Steps));
        await PassesAsync(TimeSpan.FromTicks(1));

        await Eventually.TrueAsync(() => loop.Steps == 3);
        await loop.StopAsync(CancellationToken.None);
    }

    [Fact]
    public async Task Step_DatabaseFails_IsToldAndRepeatedAfterPausesThatGrow()
    {
        using var loop = await StartAsync(() => throw new NpgsqlException("gone"));
        foreach (var longest in new[] { 1, 2, 4 })
        {
            await Eventually.TrueAsync(() => _time.TimerCount == 1);
            var (failures, fired) = (loop.Reasons.Count, _time.Fired);
            await PassesAsync(TimeSpan.FromSeconds(longest * .74));
            Assert.Equal((failures, fired), (loop.Reasons.Count, _time.Fired));
            await PassesAsync(TimeSpan.FromSeconds(longest * .26));
            await Eventually.TrueAsync(() => loop.Reasons.Count == failures + 1);
        }

        Assert.All(loop.Reasons, reason => Assert.Contains("gone", reason, StringComparison.Ordinal));
        await loop.StopAsync(CancellationToken.None);
        Assert.True(loop.ExecuteTask!.IsCompletedSuccessfully);
    }

    [Fact]
    public async Task Step_SucceedsAfterFailures_NextFailurePausesShortAgain()
    {
        var steps = 0;
        using var loop = await StartAsync(() => ++steps is 3 ? s_pause : throw new NpgsqlException("gone"));
        await PassesAsync(TimeSpan.FromSeconds(1));
        await PassesAsync(TimeSpan.FromSeconds(2));
        await PassesAsync(s_pause);
        await Eventually.TrueAsync(() => loop.Steps == 4);

        await PassesAsync(TimeSpan.FromSeconds(1));

        await Eventually.TrueAsync(() => loop.Steps == 5);
        await loop.StopAsync(CancellationToken.None);
    }

    [Fact]
    public async Task Step_FailsForAnotherReason_EndsTheLoopWithIt()
    {
        using var loop = await StartAsync(() => throw new InvalidOperationException("a bug"));

        await Assert.ThrowsAsync<InvalidOperationException>(() => loop.ExecuteTask!.WaitAsync(TimeSpan.FromSeconds(30)));
        Assert.Empty(loop.Reasons);
    }

    [Fact]
    public async Task Stop_InAPause_EndsWithoutAnError()
    {
        using var loop = await StartAsync(() => s_pause);
        await Eventually.TrueAsync(() => _time.TimerCount == 1);

        await loop.StopAsync(CancellationToken.None);

        Assert.True(loop.ExecuteTask!.IsCompletedSuccessfully);
    }

    [Fact]
    public async Task Start_NothingToDo_EndsWithoutAStep()
    {
        using var loop = new Loop(_state, _time, TimeSpan.Zero, () => s_pause) { On = false };
        _state.SetReady();

        await loop.StartAsync(CancellationToken.None);

        await loop.ExecuteTask!.WaitAsync(TimeSpan.FromSeconds(30));
        Assert.Equal(0, loop.Steps);
    }

    private async Task<Loop> StartAsync(Func<TimeSpan> step)
    {
        _state.SetReady();
        var loop = new Loop(_state, _time, TimeSpan.Zero, step);
        await loop.StartAsync(CancellationToken.None);
        return loop;
    }

    /// <summary>Lets time pass once the loop pauses.</summary>
    private async Task PassesAsync(TimeSpan by)
    {
        await Eventually.TrueAsync(() => _time.TimerCount == 1);
        _time.Advance(by);
    }

    private sealed class Loop(DatabaseState state, TimeProvider time, TimeSpan firstPause, Func<TimeSpan> step) : DatabaseLoop(
        state, time, new WriteBackoff(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(60), time, new Random(1)), firstPause)
    {
        private int _steps;
        private volatile bool _isAsked;

        /// <summary>Whether it was asked for work: as soon as the database is ready, and not before.</summary>
        public bool IsAsked => _isAsked;

        public int Steps => Volatile.Read(ref _steps);

        public bool On { get; init; } = true;

        public IReadOnlyList<string> Reasons { get; private set; } = [];

        protected override bool IsOn
        {
            get
            {
                _isAsked = true;
                return On;
            }
        }

        protected override Task<TimeSpan> StepAsync(CancellationToken cancellationToken)
        {
            Interlocked.Increment(ref _steps);
            return Task.FromResult(step());
        }

        protected override void Failed(string reason) => Reasons = [.. Reasons, reason];
    }
}
