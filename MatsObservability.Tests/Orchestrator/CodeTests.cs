using System.Diagnostics;
using Microsoft.Extensions.Options;
using MatsObservability.Tests.Support;
using Orchestrator.Agent;
using Orchestrator.Agent.Agents.Investigator;

namespace MatsObservability.Tests.Orchestrator;

[Trait("Req", "M09")]
public sealed class CodeTests
{
    [Theory]
    [InlineData("System.Exception: x\n   at Shop.Store.Save(Order o) in /src/Shop/Store.cs:line 42", "/src/Shop/Store.cs", 42)]
    [InlineData("java.lang.X: y\n\tat shop.OrderStore.save(OrderStore.java:17)", "OrderStore.java", 17)]
    [InlineData("Traceback (most recent call last):\n  File \"/app/main.py\", line 3, in run\n  File \"/app/store.py\", line 9, in save\nKeyError", "/app/store.py", 9)]
    [InlineData("Error: x\n    at save (/app/store.js:5:11)", "/app/store.js", 5)]
    [InlineData("goroutine 1 [running]:\nmain.save()\n\t/app/store.go:8 +0x1", "/app/store.go", 8)]
    public void Frames_KnownForms_GiveTheInnermostPlaceFirst(string trace, string file, int line)
    {
        var place = CodeRegions.Frames(trace).First();

        Assert.Equal((file, line), (place.File, place.Line));
    }

    [Fact]
    public void From_UnknownTraceForm_IsFlagged() =>
        Assert.True(CodeRegions.From(QualityGatesTests.Sre("SUCCESS", 0.8, "x", "boom\n\tat somewhere strange")).UnknownTrace);

    [Fact]
    public async Task Repository_LocalGit_FindsLineSearchAndBlame()
    {
        using var folder = new TemporaryFolder();
        Directory.CreateDirectory(folder.File("src"));
        await File.WriteAllTextAsync(
            folder.File("src/OrderStore.java"), "class OrderStore {\n  void save() {\n    log(\"could not connect\");\n  }\n}\n");
        Git(folder.Path, "init", "-q");
        Git(folder.Path, "add", ".");
        Git(folder.Path, "-c", "user.name=Test", "-c", "user.email=test@example.com", "commit", "-q", "-m", "Add the store");
        var repository = new CodeRepository(Options.Create(new MatsOptions { RepositoryCache = folder.File("cache") }));

        var opened = await repository.OpenAsync(folder.Path, null, CancellationToken.None);

        Assert.Null(opened.Fault);
        Assert.Equal("src/OrderStore.java", opened.BestFile("/build/shop/src/OrderStore.java"));
        Assert.Equal("src/OrderStore.java", opened.BestFile("OrderStore"));
        Assert.Null(opened.BestFile("Billing.java"));
        Assert.Equal([("src/OrderStore.java", 3)], await CodeRepository.SearchAsync(opened, "could not connect", CancellationToken.None));
        var change = await CodeRepository.BlameAsync(opened, "src/OrderStore.java", 3, CancellationToken.None);
        Assert.Equal("Add the store", change?.Subject);
    }

    [Fact]
    public async Task Repository_Zip_IsReadWithoutHistory()
    {
        using var folder = new TemporaryFolder();
        Directory.CreateDirectory(folder.File("code"));
        await File.WriteAllTextAsync(folder.File("code/store.py"), "def save():\n    print('saved')\n");
        System.IO.Compression.ZipFile.CreateFromDirectory(folder.File("code"), folder.File("code.zip"));
        var repository = new CodeRepository(Options.Create(new MatsOptions { RepositoryCache = folder.File("cache") }));

        var opened = await repository.OpenAsync(folder.File("code.zip"), null, CancellationToken.None);

        Assert.Equal(["store.py"], opened.Files);
        Assert.Equal([("store.py", 2)], await CodeRepository.SearchAsync(opened, "'saved'", CancellationToken.None));
        Assert.Null(await CodeRepository.BlameAsync(opened, "store.py", 2, CancellationToken.None));
    }

    [Theory]
    [InlineData("/no/such/folder")]
    [InlineData("ext::sh -c id")]
    [InlineData("--upload-pack=id")]
    public async Task Repository_Unreadable_IsAFaultNotACrash(string url)
    {
        using var folder = new TemporaryFolder();
        var opened = await new CodeRepository(Options.Create(new MatsOptions { RepositoryCache = folder.Path })).OpenAsync(
            url, null, CancellationToken.None);

        Assert.NotNull(opened.Fault);
    }

    [Fact]
    public void Redact_AddressWithPassword_HidesIt() => Assert.DoesNotContain(
        "secret", CodeRepository.Redact("https://me:secret@example.com/x.git"));

    internal static void Git(string folder, params string[] arguments)
    {
        var start = new ProcessStartInfo("git") { WorkingDirectory = folder, RedirectStandardOutput = true,
            RedirectStandardError = true, UseShellExecute = false };
        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        using var git = Process.Start(start)!;
        git.WaitForExit();
        Assert.True(git.ExitCode == 0, git.StandardError.ReadToEnd());
    }
}
