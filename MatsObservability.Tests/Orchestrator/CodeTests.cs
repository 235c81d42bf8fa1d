using System.Diagnostics;
using MatsObservability.Tests.Support;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;
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
    public async Task Repository_LocalPath_IsReadUnderARootOnlyAndThroughNoLink()
    {
        using var folder = new TemporaryFolder();
        Directory.CreateDirectory(folder.File("roots/shop"));
        Directory.CreateDirectory(folder.File("secret"));
        await File.WriteAllTextAsync(folder.File("roots/shop/a.py"), "a");
        await File.WriteAllTextAsync(folder.File("secret/b.py"), "b");
        Directory.CreateSymbolicLink(folder.File("roots/shop/out"), folder.File("secret"));
        var rooted = new MatsOptions { RepositoryCache = folder.File("cache") };
        rooted.RepositoryRoots.Add(folder.File("roots/"));

        Assert.Equal(["a.py"], (await OpenAsync(rooted, folder.File("roots/shop"))).Files);
        foreach (var path in new[] { "secret", "roots/../secret", "roots/shop/out", "roots2" })
        {
            Assert.Contains("Mats:RepositoryRoots", (await OpenAsync(rooted, folder.File(path))).Fault, StringComparison.Ordinal);
            Assert.NotNull((await OpenAsync(rooted, $"file://{folder.File(path)}")).Fault);
        }
    }

    [Fact]
    public async Task Repository_LocalPathWhereCallersAreAsked_NeedsARoot()
    {
        using var folder = new TemporaryFolder();
        await File.WriteAllTextAsync(folder.File("a.py"), "a");
        var withTokens = new MatsOptions();
        withTokens.Tokens.Add(new() { User = "ada@example.com", Token = "0123456789abcdef" });

        Assert.Null((await OpenAsync(new(), folder.Path)).Fault);
        Assert.NotNull((await OpenAsync(withTokens, folder.Path)).Fault);
        Assert.NotNull((await OpenAsync(new() { EnforcePolicy = true }, folder.Path)).Fault);
    }

    [Fact]
    public async Task Repository_ThatNamesAProgram_DoesNotHaveItRun()
    {
        using var folder = new TemporaryFolder();
        Commit(folder.File("shop"), ("a.java", "class A {\n}\n"), (".gitattributes", "*.java diff=run\n"));
        Git(folder.File("shop"), "config", "diff.run.textconv", $"touch {folder.File("ran")}; cat");

        var opened = await OpenAsync(new(), folder.File("shop"));

        Assert.Equal(2, (await CodeRepository.SearchAsync(opened, "}", CancellationToken.None)).Single().Line);
        Assert.Equal("class A {", (await CodeRepository.ReadLinesAsync(opened, "a.java", CancellationToken.None))[0]);
        Assert.Equal("All of it", (await CodeRepository.BlameAsync(opened, "a.java", 1, CancellationToken.None))?.Subject);
        Assert.False(File.Exists(folder.File("ran")));
    }

    [Fact]
    public async Task Repository_CloneThatWasKilled_IsMadeAnew()
    {
        using var folder = new TemporaryFolder();
        Commit(folder.File("shop"), ("a.py", "a"));
        var reached = new TaskCompletionSource();
        var stalls = true;
        await using var server = await HttpStub.StartAsync(async context =>
        {
            if (stalls && context.Request.Path.Value!.Contains("/objects/", StringComparison.Ordinal))
            {
                reached.TrySetResult();
                await Task.Delay(Timeout.Infinite, context.RequestAborted);
            }

            await SendAsync(context, folder.File("shop/.git"));
        });
        var repository = new CodeRepository(Options.Create(new MatsOptions { RepositoryCache = folder.File("cache") }));
        using var stop = new CancellationTokenSource();

        var killed = repository.OpenAsync($"{server.Url}/shop", null, stop.Token);
        await reached.Task.WaitAsync(TimeSpan.FromSeconds(60));
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => killed);
        stalls = false;

        var opened = await repository.OpenAsync($"{server.Url}/shop", null, CancellationToken.None);
        Assert.Equal((null, "a.py"), (opened.Fault, opened.Files.SingleOrDefault()));
        Assert.Single(Directory.GetDirectories(folder.File("cache")));
    }

    [Fact]
    public async Task Repository_OpenedByTwoJobsAtOnce_IsClonedOnce()
    {
        using var folder = new TemporaryFolder();
        Commit(folder.File("shop"), ("a.py", "a"));
        await using var server = await HttpStub.StartAsync(context => SendAsync(context, folder.File("shop/.git")));
        var repository = new CodeRepository(Options.Create(new MatsOptions { RepositoryCache = folder.File("cache") }));

        var both = await Task.WhenAll(Enumerable.Range(0, 2).Select(
            _ => repository.OpenAsync($"{server.Url}/shop", null, CancellationToken.None)));

        Assert.All(both, opened => Assert.Equal((null, "a.py"), (opened.Fault, opened.Files.SingleOrDefault())));
    }

    [Theory]
    [InlineData("HEAD.lock")]
    [InlineData("refs/heads/trunk.lock")]
    public async Task Repository_LockOfAFetchThatWasKilled_IsRemoved(string name)
    {
        using var folder = new TemporaryFolder();
        Commit(folder.File("shop"), ("a.py", "a"));
        await using var server = await HttpStub.StartAsync(context => SendAsync(context, folder.File("shop/.git")));
        var options = new MatsOptions { RepositoryCache = folder.File("cache") };
        var left = Path.Combine(await CloneAsync(options, $"{server.Url}/shop"), name);
        await File.WriteAllTextAsync(left, "");
        File.SetLastWriteTimeUtc(left, TimeProvider.System.GetUtcNow().UtcDateTime.AddMinutes(-3));
        Commit(folder.File("shop"), ("b.py", "b"));

        var opened = await OpenAsync(options, $"{server.Url}/shop");

        Assert.Null(opened.Fault);
        Assert.Equal(["a.py", "b.py"], opened.Files);
        Assert.DoesNotContain("refresh", opened.Note);
    }

    [Fact]
    public async Task Repository_LockedByAnotherProcess_IsReadAsOfItsLastRefresh()
    {
        using var folder = new TemporaryFolder();
        Commit(folder.File("shop"), ("a.py", "a"));
        await using var server = await HttpStub.StartAsync(context => SendAsync(context, folder.File("shop/.git")));
        var options = new MatsOptions { RepositoryCache = folder.File("cache") };
        var held = Path.Combine(await CloneAsync(options, $"{server.Url}/shop"), "refs/heads/trunk.lock");
        await File.WriteAllTextAsync(held, "");
        Commit(folder.File("shop"), ("b.py", "b"));

        var opened = await OpenAsync(options, $"{server.Url}/shop");

        Assert.Equal((null, "a.py"), (opened.Fault, opened.Files.SingleOrDefault()));
        Assert.Contains("last refresh", opened.Note);
        Assert.True(File.Exists(held));
    }

    [Fact]
    public async Task Repository_RefusedAfterItWasCloned_IsAFault()
    {
        using var folder = new TemporaryFolder();
        Commit(folder.File("shop"), ("a.py", "a"));
        var refuses = false;
        await using var server = await HttpStub.StartAsync(context => SendAsync(context, folder.File(refuses ? "none" : "shop/.git")));
        var options = new MatsOptions { RepositoryCache = folder.File("cache") };
        await CloneAsync(options, $"{server.Url}/shop");
        refuses = true;

        var opened = await OpenAsync(options, $"{server.Url}/shop");

        Assert.Contains("git cannot read", opened.Fault);
    }

    [Fact]
    public async Task Repository_FolderOfACloneThatWasKilled_IsDeletedAfterADay()
    {
        using var folder = new TemporaryFolder();
        Commit(folder.File("shop"), ("a.py", "a"));
        await using var server = await HttpStub.StartAsync(context => SendAsync(context, folder.File("shop/.git")));
        var options = new MatsOptions { RepositoryCache = folder.File("cache") };
        var clone = await CloneAsync(options, $"{server.Url}/shop");
        var (left, filled) = ($"{clone}.{Guid.NewGuid():N}", $"{clone}.{Guid.NewGuid():N}");
        Directory.CreateDirectory(left);
        Directory.CreateDirectory(filled);
        var old = TimeProvider.System.GetUtcNow().UtcDateTime.AddDays(-2);
        Directory.SetLastWriteTimeUtc(left, old);
        Directory.SetLastWriteTimeUtc(clone, old);

        var opened = await OpenAsync(options, $"{server.Url}/shop");

        Assert.Null(opened.Fault);
        Assert.Equal(new[] { clone, filled }.Order(), Directory.GetDirectories(folder.File("cache")).Order());
    }

    [Fact]
    public async Task Git_MoreOutputThanAskedFor_IsCutAndReadToItsEnd()
    {
        using var folder = new TemporaryFolder();
        Commit(folder.File("shop"), ("big.txt", new string('x', 1_000_000)));

        var shown = await global::Orchestrator.Agent.Agents.Investigator.Git.RunAsync(
            folder.File("shop"), ["cat-file", "blob", "HEAD:big.txt"], 10_000, CancellationToken.None);

        Assert.Equal((0, 10_000), (shown.ExitCode, shown.Output.Length));
    }

    [Fact]
    public void Redact_AddressWithPassword_HidesIt() => Assert.DoesNotContain(
        "secret", CodeRepository.Redact("https://me:secret@example.com/x.git"));

    private static Task<OpenRepository> OpenAsync(MatsOptions options, string repoUrl) =>
        new CodeRepository(Options.Create(options)).OpenAsync(repoUrl, null, CancellationToken.None);

    /// <summary>Opens a repository for the first time; where its clone is.</summary>
    private static async Task<string> CloneAsync(MatsOptions options, string repoUrl)
    {
        Assert.Null((await OpenAsync(options, repoUrl)).Fault);
        return Directory.GetDirectories(options.RepositoryCache).Single();
    }

    /// <summary>
    /// A repository of one commit, or one more, on a branch that is nobody's default, ready for clients that only get files.
    /// </summary>
    private static void Commit(string folder, params (string Name, string Text)[] files)
    {
        Directory.CreateDirectory(folder);
        foreach (var (name, text) in files)
        {
            File.WriteAllText(Path.Combine(folder, name), text);
        }

        Git(folder, "init", "-q", "-b", "trunk");
        Git(folder, "add", ".");
        Git(folder, "-c", "user.name=Test", "-c", "user.email=test@example.com", "commit", "-q", "-m", "All of it");
        Git(folder, "update-server-info");
    }

    /// <summary>A file of a repository by git's plain HTTP protocol: <c>/shop/HEAD</c>.</summary>
    private static async Task SendAsync(HttpContext context, string repository)
    {
        var file = Path.Combine(repository, string.Join('/', context.Request.Path.Value!.Split('/').Skip(2)));
        if (File.Exists(file))
        {
            await context.Response.SendFileAsync(file);
        }
        else
        {
            context.Response.StatusCode = 404;
        }
    }

    internal static void Git(string folder, params string[] arguments)
    {
        var start = new ProcessStartInfo("git")
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        using var git = Process.Start(start)!;
        git.WaitForExit();
        Assert.True(git.ExitCode == 0, git.StandardError.ReadToEnd());
    }
}
