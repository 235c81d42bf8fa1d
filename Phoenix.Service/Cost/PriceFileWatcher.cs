using Microsoft.Extensions.Options;

namespace Phoenix.Service.Cost;

/// <summary>
/// Reads the users' price file at start and whenever its time or size changes (looked at regularly: notifications do not reach every file
/// system). A file that cannot be read or parsed is logged once and changes nothing.
/// </summary>
internal sealed partial class PriceFileWatcher(
    PriceBook book, IOptions<CostOptions> options, TimeProvider time, ILogger<PriceFileWatcher> logger) : BackgroundService
{
    private (DateTime Written, long Length) _seen;

    /// <inheritdoc/>
    public override Task StartAsync(CancellationToken cancellationToken)
    {
        Look();
        return base.StartAsync(cancellationToken);
    }

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (options.Value.PricesFile.Length == 0)
        {
            return;
        }

        using var timer = new PeriodicTimer(options.Value.ReloadInterval, time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            Look();
        }
    }

    private void Look()
    {
        var file = new FileInfo(options.Value.PricesFile.Length == 0 ? "." : options.Value.PricesFile);
        if (!file.Exists || (file.LastWriteTimeUtc, file.Length) == _seen)
        {
            return;
        }

        _seen = (file.LastWriteTimeUtc, file.Length);
        try
        {
            var prices = PriceTable.Parse(File.ReadAllBytes(file.FullName), isBuiltIn: false);
            book.Replace(prices);
            Log.Loaded(logger, file.FullName, prices.Length);
        }
        catch (Exception exception) when (exception is FormatException or IOException or UnauthorizedAccessException)
        {
            Log.Unreadable(logger, file.FullName, exception);
        }
    }
}
