using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Aspire.Hosting.ApplicationModel;

/// <summary>Healthy when a GET of a URL answers with the expected status.</summary>
internal sealed class HttpHealthCheck(IHttpClientFactory clients, Func<CancellationToken, ValueTask<Uri?>> url,
    int expectedStatus) : IHealthCheck
{
    private static readonly TimeSpan s_timeout = TimeSpan.FromSeconds(5);

    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        if (await url(cancellationToken) is not { } target)
        {
            return HealthCheckResult.Unhealthy("The endpoint is not allocated yet.");
        }

        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        timeout.CancelAfter(s_timeout);
        try
        {
            using var client = clients.CreateClient();
            using var response = await client.GetAsync(target, HttpCompletionOption.ResponseHeadersRead, timeout.Token);
            return (int)response.StatusCode == expectedStatus
                ? HealthCheckResult.Healthy()
                : HealthCheckResult.Unhealthy($"{target} answered {(int)response.StatusCode}, expected {expectedStatus}.");
        }
        catch (HttpRequestException failure)
        {
            return HealthCheckResult.Unhealthy($"{target} does not answer: {failure.Message}", failure);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return HealthCheckResult.Unhealthy($"{target} did not answer within {s_timeout.TotalSeconds:0} s.");
        }
    }
}
