using System.Collections.Concurrent;
using System.Net;
using System.Text;
using MatsObservability.ServiceDefaults;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace MatsObservability.Tests.ServiceDefaults;

public sealed class HttpClientDefaultsTests
{
    [Fact]
    public async Task Get_ServerRecovers_IsRetriedOverServiceName()
    {
        var answers = new ConcurrentQueue<int>([503, 500, 200]);
        await using var server = await TestService.StartAsync(app => app.MapGet("/flaky", () => Results.StatusCode(Next(answers))));
        await using var caller = await CallerAsync(server);

        using var response = await Client(caller).GetAsync("flaky");

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Empty(answers);
        Assert.Equal("phoenix", response.RequestMessage!.RequestUri!.Host);
    }

    [Fact]
    public async Task Post_ServerFails_IsSentOnce()
    {
        var answers = new ConcurrentQueue<int>([503, 200]);
        await using var server = await TestService.StartAsync(app => app.MapPost("/flaky", () => Results.StatusCode(Next(answers))));
        await using var caller = await CallerAsync(server);

        using var response = await Client(caller).PostAsync("flaky", content: null);

        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.Single(answers);
    }

    [Fact]
    public async Task Post_MarkedRetryable_IsSentAgainWithItsBody()
    {
        var answers = new ConcurrentQueue<int>([429, 200]);
        var bodies = new ConcurrentQueue<string>();
        await using var server = await TestService.StartAsync(app => app.MapPost("/flaky", async (HttpRequest request) =>
        {
            using var reader = new StreamReader(request.Body);
            bodies.Enqueue(await reader.ReadToEndAsync());
            return Results.StatusCode(Next(answers));
        }));
        await using var caller = await CallerAsync(server);

        using var body = new MemoryStream(Encoding.UTF8.GetBytes("{\"n\":1}"));
        using var request = new HttpRequestMessage(HttpMethod.Post, "flaky") { Content = new StreamContent(body) }.MarkRetryable();
        using var response = await Client(caller).SendAsync(request);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(["{\"n\":1}", "{\"n\":1}"], bodies);
    }

    [Fact]
    public async Task Get_AttemptTimesOut_SaysWhoGaveNoAnswer()
    {
        var release = new TaskCompletionSource();
        await using var server = await TestService.StartAsync(app => app.MapGet("/slow", () => release.Task));
        await using var caller = await CallerAsync(
            server, ("HttpResilience:AttemptTimeout", "00:00:00.050"), ("HttpResilience:MaxRetries", "1"));

        var failure = await Assert.ThrowsAsync<TaskCanceledException>(() => Client(caller).GetAsync("slow"));

        release.SetResult();
        Assert.IsType<TimeoutException>(failure.InnerException);
        Assert.Contains("http://phoenix", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Get_ServerKeepsFailing_OpensTheCircuit()
    {
        var calls = 0;
        await using var server = await TestService.StartAsync(app => app.MapGet("/down", () =>
        {
            Interlocked.Increment(ref calls);
            return Results.StatusCode(500);
        }));
        await using var caller = await CallerAsync(
            server, ("HttpResilience:MaxRetries", "0"), ("HttpResilience:CircuitMinimumRequests", "4"),
            ("HttpResilience:CircuitPause", "00:05:00"));
        var client = Client(caller);

        for (var attempt = 0; attempt < 4; attempt++)
        {
            using var response = await client.GetAsync("down");
            Assert.Equal(HttpStatusCode.InternalServerError, response.StatusCode);
        }

        await Assert.ThrowsAsync<HttpRequestException>(() => client.GetAsync("down"));
        Assert.Equal(4, calls);
    }

    [Fact]
    public async Task Start_SeveralBadLimits_NamesEveryKeyAtOnce()
    {
        var failure = await Assert.ThrowsAsync<OptionsValidationException>(() => TestService.StartAsync(
            _ => { },
            builder => builder.AddServiceDefaults(),
            ("HttpResilience:MaxRetries", "-1"),
            ("HttpResilience:AttemptTimeout", "00:05:00")));

        Assert.Contains(failure.Failures, fault => fault.StartsWith("HttpResilience:MaxRetries must", StringComparison.Ordinal));
        Assert.Contains(failure.Failures, fault => fault.StartsWith("HttpResilience:TotalTimeout must", StringComparison.Ordinal));
    }

    private static int Next(ConcurrentQueue<int> answers) =>
        answers.TryDequeue(out var answer) ? answer : throw new InvalidOperationException("One call too many.");

    private static Task<TestService> CallerAsync(
        TestService server, params (string Key, string? Value)[] settings) => TestService.StartAsync(
        _ => { },
        builder =>
        {
            builder.AddServiceDefaults();
            builder.Services.AddHttpClient("phoenix", client => client.BaseAddress = new Uri("https+http://phoenix"));
        },
        [("services:phoenix:http:0", server.Url.ToString()), ("HttpResilience:RetryDelay", "00:00:00.001"), .. settings]);

    private static HttpClient Client(TestService caller) =>
        caller.Services.GetRequiredService<IHttpClientFactory>().CreateClient("phoenix");
}
