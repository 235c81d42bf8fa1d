using MatsObservability.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using Phoenix.Service.Storage.Postgres.Accounts;

namespace MatsObservability.Tests.Phoenix.Security;

/// <summary>Sessions that begin, go on or end in the moment in which something else happens to their user or their neighbour.</summary>
public sealed class SessionRaceTests(PostgresFixture postgres) : IClassFixture<PostgresFixture>, IAsyncLifetime
{
    private static readonly DateTimeOffset s_now = TimeProvider.System.GetUtcNow();

    private PhoenixServer _server = null!;
    private UserStore _users = null!;
    private TokenStore _tokens = null!;

    public async Task InitializeAsync()
    {
        _server = await PhoenixServer.StartAsync(postgres);
        var database = _server.Services.GetRequiredService<NpgsqlDataSource>();
        (_users, _tokens) = (new UserStore(database), new TokenStore(database));
    }

    public Task DisposeAsync() => _server.DisposeAsync().AsTask();

    [Fact]
    public async Task Rotate_PasswordChangesMeanwhile_TheNewTokensEndToo()
    {
        var user = await CreateUserAsync("ann");
        var session = await CreateSessionAsync(user);
        await using var holder = await HoldAsync($"SELECT FROM users WHERE id = {user} FOR UPDATE");

        var rotating = RotateAsync(session);
        await WaitAsync(1);
        var changing = _users.SetPasswordAsync(user, "new", default);
        await WaitAsync(2);
        await holder.CloseAsync();
        await rotating;
        await changing;

        Assert.Equal(0, await _server.ScalarAsync<long>($"SELECT count(*) FROM auth_tokens WHERE user_id = {user}"));
    }

    [Fact]
    public async Task CreatePair_PasswordChangesAfterItsCheck_StartsNoSession()
    {
        var user = await CreateUserAsync("bob");
        await using var holder = await HoldAsync($"UPDATE users SET password_hash = 'new' WHERE id = {user}");

        var creating = _tokens.CreatePairAsync(user, "old", s_now, s_now.AddDays(7), s_now.AddHours(1), default);
        await WaitAsync(1);
        await using var commit = new NpgsqlCommand("COMMIT", holder);
        await commit.ExecuteNonQueryAsync();

        Assert.Null(await creating);
        Assert.Equal(0, await _server.ScalarAsync<long>($"SELECT count(*) FROM auth_tokens WHERE user_id = {user}"));
    }

    [Fact]
    public async Task Rotate_AnotherSessionJustRemovesStaleTokens_DoesNotWaitForIt()
    {
        var user = await CreateUserAsync("eve");
        var (first, second) = (await CreateSessionAsync(user), await CreateSessionAsync(user));
        await using var holder = await HoldAsync($"DELETE FROM auth_tokens WHERE id = {second.RefreshId}");

        Assert.NotNull(await RotateAsync(first).WaitAsync(TimeSpan.FromSeconds(60)));
    }

    private async Task<int> CreateUserAsync(string name) =>
        (await _users.CreateAsync($"{name}@example.com", name, "VIEWER", "old", default))!.Id;

    /// <summary>A session whose access token ended days ago.</summary>
    private async Task<TokenPair> CreateSessionAsync(int user) =>
        (await _tokens.CreatePairAsync(user, "old", s_now, s_now.AddDays(7), s_now.AddDays(-3), default))!.Value;

    private Task<TokenPair?> RotateAsync(TokenPair session) =>
        _tokens.RotateAsync(session.RefreshId, s_now, s_now.AddDays(7), s_now.AddHours(1), default);

    /// <summary>A transaction that stays open until its connection is closed.</summary>
    private async Task<NpgsqlConnection> HoldAsync(string statement)
    {
        var holder = await _server.OpenAsync();
        await using var hold = new NpgsqlCommand($"BEGIN; {statement}", holder);
        await hold.ExecuteNonQueryAsync();
        return holder;
    }

    private Task WaitAsync(int waiters) => Eventually.TrueAsync(
        async () => await _server.ScalarAsync<long>($"SELECT count(*) {LockWaits.From}") == waiters);
}
