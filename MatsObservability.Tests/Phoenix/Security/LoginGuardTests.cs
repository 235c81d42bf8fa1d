using MatsObservability.Tests.Support;
using Microsoft.Extensions.Options;
using Phoenix.Service.Security;

namespace MatsObservability.Tests.Phoenix.Security;

/// <summary>The lock after wrong passwords.</summary>
[Trait("Req", "B060")]
public sealed class LoginGuardTests
{
    private readonly TestTime _time = new(DateTimeOffset.UnixEpoch);
    private readonly LoginGuard _guard;

    public LoginGuardTests() => _guard = new LoginGuard(
        Options.Create(new AuthOptions { MaxFailedLogins = 3, LockTime = TimeSpan.FromMinutes(5) }), _time);

    [Fact]
    public void Failed_ThreeTimes_LocksForTheLockTime()
    {
        Fail("ada", 2);
        Assert.Equal(TimeSpan.Zero, _guard.LockedFor("ada"));

        Fail("ada", 1);
        Assert.Equal(TimeSpan.FromMinutes(5), _guard.LockedFor("ADA"));

        _time.Advance(TimeSpan.FromMinutes(5));
        Assert.Equal(TimeSpan.Zero, _guard.LockedFor("ada"));
    }

    [Fact]
    public void Failed_ForMoreAccountsThanAreRemembered_KeepsTheLocks()
    {
        Fail("ada", 3);
        for (var account = 0; account < LoginGuard.MostAccounts + 50; account++)
        {
            _time.Advance(TimeSpan.FromMilliseconds(1));
            Fail($"nobody-{account}", 1);
        }

        Assert.True(_guard.LockedFor("ada") > TimeSpan.Zero);

        // Of those that are not locked, the oldest went: the newest still counts up to its lock.
        Fail($"nobody-{LoginGuard.MostAccounts + 49}", 2);
        Assert.True(_guard.LockedFor($"nobody-{LoginGuard.MostAccounts + 49}") > TimeSpan.Zero);
    }

    private void Fail(string account, int times)
    {
        for (var time = 0; time < times; time++)
        {
            _guard.Failed(account);
        }
    }
}
