using System.Collections.Concurrent;
using Microsoft.Extensions.Options;

namespace Phoenix.Service.Security;

/// <summary>
/// Locks an account for a while after wrong passwords in a row, whether it exists or not: the answer must not tell. Each replica counts its
/// own, of a bounded number of accounts: before a locked one is forgotten, so that trying many names opens none, those that are not locked
/// are. Thread-safe.
/// </summary>
internal sealed class LoginGuard(IOptions<AuthOptions> options, TimeProvider time)
{
    /// <summary>Accounts whose failures are remembered.</summary>
    public const int MostAccounts = 10_000;

    private readonly ConcurrentDictionary<string, Failures> _failures = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>How long <paramref name="account"/> is still locked; zero when it is not.</summary>
    public TimeSpan LockedFor(string account)
    {
        var left = _failures.TryGetValue(account, out var failures) && failures.Count >= options.Value.MaxFailedLogins
            ? options.Value.LockTime - time.GetElapsedTime(failures.Last)
            : TimeSpan.Zero;
        return left > TimeSpan.Zero ? left : TimeSpan.Zero;
    }

    /// <summary>Counts a wrong password; those before a lock that has ended do not count any more.</summary>
    public void Failed(string account)
    {
        if (_failures.Count >= MostAccounts && !_failures.ContainsKey(account))
        {
            var (oldest, _) = _failures.MinBy(entry => (LockedFor(entry.Key) > TimeSpan.Zero, entry.Value.Last));
            _failures.TryRemove(oldest, out _);
        }

        var now = time.GetTimestamp();
        _failures.AddOrUpdate(
            account, _ => new Failures(1, now),
            (_, before) => new Failures(time.GetElapsedTime(before.Last, now) < options.Value.LockTime ? before.Count + 1 : 1, now));
    }

    /// <summary>Forgets the failures after a right password.</summary>
    public void Succeeded(string account) => _failures.TryRemove(account, out _);

    private readonly record struct Failures(int Count, long Last);
}
