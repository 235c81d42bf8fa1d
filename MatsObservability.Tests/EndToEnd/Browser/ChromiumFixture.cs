using Microsoft.Playwright;

namespace MatsObservability.Tests.EndToEnd.Browser;

/// <summary>
/// A headless Chromium of this machine, driven by Playwright: one that the environment variable MATS_TEST_CHROMIUM names, else one in the
/// usual places. Playwright's own downloads are not used.
/// </summary>
public sealed class ChromiumFixture : IAsyncLifetime
{
    private static readonly string[] s_usualPlaces =
    [
        "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome", "/usr/bin/google-chrome-stable", "/snap/bin/chromium",
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome", "/Applications/Chromium.app/Contents/MacOS/Chromium",
        @"C:\Program Files\Google\Chrome\Application\chrome.exe", @"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
    ];

    private IPlaywright? _playwright;

    /// <summary>The program, or null when the machine has none.</summary>
    public static string? ExecutablePath { get; } = Find();

    /// <summary>The running browser.</summary>
    public IBrowser Browser { get; private set; } = null!;

    /// <inheritdoc/>
    public async Task InitializeAsync()
    {
        if (ExecutablePath is null)
        {
            return;
        }

        Assertions.SetDefaultExpectTimeout(60_000);
        _playwright = await Playwright.CreateAsync();
        Browser = await _playwright.Chromium.LaunchAsync(new BrowserTypeLaunchOptions
        {
            ExecutablePath = ExecutablePath,
            Headless = true,
            // Root cannot use the sandbox; nothing but the server under test is to be talked to.
            Args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
                "--disable-component-update", "--disable-sync"],
        });
    }

    /// <inheritdoc/>
    public async Task DisposeAsync()
    {
        if (_playwright is not null)
        {
            await Browser.DisposeAsync();
            _playwright.Dispose();
        }
    }

    private static string? Find() => Environment.GetEnvironmentVariable("MATS_TEST_CHROMIUM") is { Length: > 0 } named
        ? named
        : Array.Find(s_usualPlaces, File.Exists);
}

/// <summary>A test that needs a browser; skipped, with this reason, where there is none.</summary>
public sealed class BrowserFactAttribute : FactAttribute
{
    public BrowserFactAttribute()
    {
        if (ChromiumFixture.ExecutablePath is null)
        {
            Skip = "No Chromium on this machine: install the package chromium, or name one in MATS_TEST_CHROMIUM.";
        }
    }
}
