namespace MatsObservability.Tests.Support;

/// <summary>Waits for what happens soon, with a deadline.</summary>
internal static class Eventually
{
    private static readonly TimeSpan s_deadline = TimeSpan.FromSeconds(120);
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(20);

    /// <summary>
    /// Asks until <paramref name="accept"/> likes the answer, and gives it; after <paramref name="limit"/> (120 s) the last one fails the
    /// test.
    /// </summary>
    public static async Task<T> GetAsync<T>(Func<Task<T>> ask, Func<T, bool> accept, TimeSpan? limit = null)
    {
        using var deadline = new CancellationTokenSource(limit ?? s_deadline);
        while (true)
        {
            var answer = await ask();
            if (accept(answer))
            {
                return answer;
            }

            Assert.False(deadline.IsCancellationRequested, $"Not in {limit ?? s_deadline}: {answer}");
            await Task.Delay(s_pause, CancellationToken.None);
        }
    }

    /// <summary>Asks until the answer is true.</summary>
    public static Task TrueAsync(Func<Task<bool>> condition, TimeSpan? limit = null) => GetAsync(condition, static holds => holds, limit);

    /// <summary>Looks until the condition holds.</summary>
    public static Task TrueAsync(Func<bool> condition, TimeSpan? limit = null) => TrueAsync(() => Task.FromResult(condition()), limit);
}
